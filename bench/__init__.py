"""One small script per table of docs/benchmarks.md; `hiregraph bench` runs them all."""
