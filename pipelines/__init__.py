"""Pipelines: from a log to models that are measured, served and reported. The only folder that sees two stages."""
