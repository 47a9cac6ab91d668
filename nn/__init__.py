"""Neural building blocks that two stages share: masked GRU, attention block, MLP, softmax margins over a large table."""
