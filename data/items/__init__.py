"""The items of a log: their table, the codes of what is known of them, and their embeddings, as models read them."""
