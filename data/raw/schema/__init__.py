"""What schema.yaml says of a log: where its columns come from, what its numbers, words and event types mean."""
