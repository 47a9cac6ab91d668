"""The report of a run: a page of sections, each written by its system, and all their numbers in metrics.json."""
