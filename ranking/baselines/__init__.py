"""What a ranker is held up against: LightGBM on the same facts, popularity, and the truth of a synthetic feed."""
