"""What trains on a corpus of millions of items: the rows of the item tables that a batch touches, and no others."""
