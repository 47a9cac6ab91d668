"""What a synthetic feed will show to whom, and what they will like of it: the distribution of which its log is a draw.

    next item    P(i is shown, and liked | the user's state, now)
    next days    how many positives, or at least how likely one, until the log ends

No recommender can find more than one that orders by it, but for the approximations that each kind of feed names, which
make it slightly too low: the ceiling of retrieval on that feed.
"""
