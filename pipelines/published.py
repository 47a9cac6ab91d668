"""Published figures that the report sets ours beside: data, each with its source."""

from collections.abc import Mapping
from dataclasses import dataclass

_LIVE = "Wang et al., RecSys ’23, section 3"


@dataclass(frozen=True)
class Published:
    """A relative change as printed in a paper: −0.0244 is −2.44%."""

    change: float
    source: str


# signals of the treatment -> metric of simulation/ab_metrics.py -> what the paper's live experiment found
LIVE: Mapping[str, Mapping[str, Published]] = {
    "dislike_input_and_label": {
        "dislike_rate": Published(-0.0244, f"{_LIVE}, homepage, figure 2a"),
        "repeated_dislike_rate": Published(-0.0960, f"{_LIVE}, homepage"),
        "dismissing_users": Published(-0.0205, f"{_LIVE}, homepage"),
        "viewers": Published(-0.0014, f"{_LIVE}, homepage"),
        "satisfied_consumption": Published(0.0, f"{_LIVE}, immersive feed"),
        "unsatisfied_consumption": Published(-0.0035, f"{_LIVE}, immersive feed"),
    },
    "skip_label": {
        "enjoyment": Published(0.0040, f"{_LIVE}, immersive feed, figure 2b"),
        "long_day_users": Published(0.0061, f"{_LIVE}, immersive feed, days of an hour"),
        "repeated_skip_rate": Published(-0.0144, f"{_LIVE}, immersive feed"),
        "diversity": Published(0.0088, f"{_LIVE}, immersive feed"),
    },
}
