"""Export: the user tower, the index and the SavedModels that are measured by simulation and served."""
