"""What the benchmarks run beside ours: the same models in PyTorch, and indexes of other libraries."""
