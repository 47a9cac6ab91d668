"""Files of one format each: the names of their columns, and their rows, some at a time."""
