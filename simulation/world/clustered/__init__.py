"""The clustered feed: taste is a share of interest in each cluster, of which an item's label says all."""
