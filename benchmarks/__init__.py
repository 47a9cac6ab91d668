"""Speed and quality against peers: each file is a command that prints a table."""
