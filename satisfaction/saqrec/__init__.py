"""SAQRec's recommenders and their training: the base one, and the main one, which learns satisfactions too."""
