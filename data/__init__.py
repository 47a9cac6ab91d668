"""From raw logs to user timelines: canonical tables, validation, feedback bits, vocabulary, splits, the timelines
artifact and the batches that training reads. Holds no model code.
"""
