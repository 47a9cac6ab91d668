"""Off-policy evaluation: what a recommender would earn, estimated from randomly exposed items of a log."""
