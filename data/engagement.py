"""Groups users by whether they have become more active lately, or less: the groups of Pan et al., CIKM '23, 3.2.3.

The paper names growth, maturity, recession and low activity and does not define them. Here the days of known time
before a moment, at most the last 14, are cut into an earlier and a later half:

    low_activity  fewer than 5 events in both halves together
    growth        more than 1.5 times as many events in the later half as in the earlier one
    recession     more than 1.5 times as many in the earlier half as in the later one
    maturity      everybody else
"""

import numpy as np
from numpy.typing import NDArray

from data.timelines import Timelines

LEVELS = ("low_activity", "growth", "maturity", "recession")
MIN_EVENTS = 5
RATIO = 1.5
_HALF_MS = 7 * 86_400_000


def engagement(timelines: Timelines, *, split: str) -> NDArray[np.int8]:
    """The index into LEVELS of each user at the moment `split` begins, [U]; nothing at or after it is read."""
    start = timelines.manifest[f"{split}_start_ms"]
    time = timelines.timestamp_ms
    known = (time > 0) & (time < start)
    if not known.any():
        return np.zeros(timelines.num_users, np.int8)
    half = min(_HALF_MS, -(-(start - int(time[known].min())) // 2))
    user = timelines.user_of_event()
    later, earlier = (
        np.bincount(user[known & (time >= start - begin) & (time < start - end)], minlength=timelines.num_users)
        for begin, end in ((half, 0), (2 * half, half))
    )
    return np.select(
        [later + earlier < MIN_EVENTS, later > RATIO * earlier, earlier > RATIO * later],
        [LEVELS.index("low_activity"), LEVELS.index("growth"), LEVELS.index("recession")],
        LEVELS.index("maturity"),
    ).astype(np.int8)
