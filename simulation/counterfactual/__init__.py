"""Responsiveness: how a recommender's next slate changes after a user says "no" to an item (Wang et al., section 4)."""
