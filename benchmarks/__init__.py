"""Speed and quality, beside peers where there are any: each file or folder is a command, or a part of several."""
