"""Neural building blocks that two stages share: masked GRU, attention, MLP, softmax margins over a large table."""
