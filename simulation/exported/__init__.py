"""Exported models in use: loading a recommender and a ranker from their folders, and serving users with them.

The folder is all that is known of a model, so that anybody's model can be measured.
"""
