"""Estimators of satisfaction against the truth of synthetic feeds."""
