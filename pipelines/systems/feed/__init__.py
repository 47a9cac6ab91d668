"""The log that all models are made from, a synthetic feed or the user's own: its stages and its section."""
