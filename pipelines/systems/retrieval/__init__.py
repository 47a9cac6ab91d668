"""Retrieval: every model of the pipeline, the choice of the weights, and the report's sections on its models."""
