"""Neural building blocks that two stages share: masked GRU, MLP, softmax margins over a large table."""
