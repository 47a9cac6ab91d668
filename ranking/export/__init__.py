"""Export: the ranker as one function of arrays and as a SavedModel."""
