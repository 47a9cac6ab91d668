"""A/B tests of models and rankers on the synthetic feed, off-policy estimates on a log, and their section."""
