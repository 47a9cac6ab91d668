"""Satisfaction from sparse answers: who answers (propensity), and what everybody would have answered (IPS)."""
