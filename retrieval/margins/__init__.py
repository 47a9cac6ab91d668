"""What a label is held up against: margins of labels, the candidates of a sample, and what a user has met taken out."""
