"""Experiments on how the served model responds to several noes, and how long it remembers them."""
