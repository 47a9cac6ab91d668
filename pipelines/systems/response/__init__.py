"""A closer look at how the served model responds to more than one no, and how long it remembers."""
