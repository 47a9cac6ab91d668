"""The same models in PyTorch, which the speed benchmarks run beside ours."""
