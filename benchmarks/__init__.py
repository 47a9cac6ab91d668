"""Speed and quality, beside peers where there are any: every file or folder but peers, shared and suite is a command."""
