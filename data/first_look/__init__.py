"""A first look at somebody's log: what lies there, what its columns hold, and what they are probably meant to be."""
