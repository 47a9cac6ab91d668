"""What several benchmarks use: sides in turns, what is trained, equal recall, waiting, and rows of figures."""
