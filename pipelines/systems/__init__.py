"""The systems of a pipeline, a folder each: its stages, and its section of the report beside them."""
