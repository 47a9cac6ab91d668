"""Training by several hosts as one: how they join, what each is of its cluster, and what ends them all."""
