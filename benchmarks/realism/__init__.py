"""Whether a synthetic feed could be a real log."""
