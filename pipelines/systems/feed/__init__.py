"""The log that everything is made from: a synthetic feed or the user's own, as timelines, and its section."""
