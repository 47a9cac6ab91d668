"""The synthetic feed with known truth, and measurements of an exported recommender by simulation.

Imports data and metrics only: a recommender arrives here as an exported artifact, never as a model class.
"""
