"""What several benchmarks use: sides in turns, trainings in parts, waiting, and rows of figures."""
