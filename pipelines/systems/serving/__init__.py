"""Serving: the gate that a model has to pass, its export, and the sections on the gate, the index and the model."""
