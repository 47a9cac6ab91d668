"""Trained models side by side: the tables of `satisfaction.evaluate`, `compare` and `ablate`."""
