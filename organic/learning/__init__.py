"""Two towers learned from pairs: what a batch is, its losses, the curriculum of negatives, one training loop."""
