"""SAQRec's recommender: the base model, the main model that satisfaction aligns, and their training."""
