"""How good a recommender is: pure functions of arrays for ranking, yes and no, calibration, diversity, intervals, and
the simple rules.

Imports nothing of the project. Ranking quality is kept per query, so that every mean gets an interval over users and
two models can be compared user by user.
"""
