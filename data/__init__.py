"""From raw logs to training batches, without any model code.

A reader (readers/) turns a log into canonical tables, with every row checked; from these come timelines, one ordered
sequence of events for each user, split by time, on disk; and from timelines the batches that training reads.
"""
