"""Logs for tests: random, made up, in the layouts of others, and of a small synthetic feed."""
