"""Logs as they come: files and their columns, rows checked one by one, what is set aside, canonical tables."""
