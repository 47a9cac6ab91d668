"""The synthetic feed: a world with known truth that writes the same logs as a real one.

`python -m simulation.world` generates it. Whoever measures may read the truth; models see the tables alone.
"""
