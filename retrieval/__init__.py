"""Responsive retrieval (Wang et al., RecSys '23): a two-tower GRU that learns what to recommend and what not to."""
