"""Timelines of a log that does not fit into memory: its users in shards, one of which at a time does.

    gathered   begins here: goes through the log once, by way of the first two of these
    spill      rows as they are read -> shards by hash of the user, on disk where they are many
    ordered    all rows of a shard -> its users' events in order, a pure function
    times      when events of all shards happened: where validation and test begin
    part       the events of a shard in order, and what all shards decided -> its part of the timelines' arrays, pure
    flat       the parts one after the other -> the arrays

A shard's functions know nothing of other shards, so shards may be done one after the other, or side by side by any
engine that can map a function over arguments (data/shards/beam.py). A small log is one shard, and never leaves memory.
"""
