"""Responsiveness: what a recommender shows after a "no", against what it shows without (Wang et al., section 4)."""
