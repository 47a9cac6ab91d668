"""A/B tests in closed loop: new people of a synthetic feed, each served by one recommender for days."""
