"""Checkpoints: what is saved of a training and read back, in folders of any name."""
