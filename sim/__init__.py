"""A marketplace that calls the product: world, behaviour, auction clock, arms, experiment, report."""
