"""Rankers: the stages that train, measure and export them, and their section of the report."""
