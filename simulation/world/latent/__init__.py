"""The latent feed: tastes, items and aversions on a sphere, of which clusters and creators are poor readings."""
