"""What is served: the gate before it, the export, and the report's sections on the index and the model."""
