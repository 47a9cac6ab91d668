"""Where one dislike does what it does in the paper."""
