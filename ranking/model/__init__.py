"""The ranker as a network: encoder, features, context layer, experts and task weights (Pan et al., section 2)."""
