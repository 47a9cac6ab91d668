"""A log with explicit likes and dislikes: how well satisfaction is told from them."""
