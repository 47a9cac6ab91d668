"""The rows that a ranker is compared with: LightGBM, popularity, and the true probabilities of a synthetic feed."""
