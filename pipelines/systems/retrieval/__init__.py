"""Retrieval models: their stages, the choice of the weight, and their sections of the report."""
