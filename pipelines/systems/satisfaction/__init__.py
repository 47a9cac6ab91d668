"""Satisfaction models: the stages that train, measure and ablate them, and their section of the report."""
