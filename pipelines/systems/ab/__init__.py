"""Days of A/B tests on the synthetic feed, what a log says of the same, and their section of the report."""
