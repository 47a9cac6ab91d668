"""Figures of live experiments that the papers have published, each with its source, to stand beside ours."""

from collections.abc import Mapping
from dataclasses import dataclass

_SOURCE = "Wang et al., RecSys ’23, section 3"


@dataclass(frozen=True)
class Published:
    """A relative change as printed in a paper: −0.0244 is −2.44%; `surface`: where in the product it was measured."""

    change: float
    surface: str
    source: str
    significant: bool = True


def _homepage(change: float, where: str = "", *, significant: bool = True) -> Published:
    return Published(change, "homepage", f"{_SOURCE}, homepage{where}", significant)


def _immersive(change: float, where: str = "") -> Published:
    return Published(change, "immersive feed", f"{_SOURCE}, immersive feed{where}")


# signals of the arm -> metric of simulation/ab_test/metrics.py -> what the live experiments found, on the homepage
# first
LIVE: Mapping[str, Mapping[str, tuple[Published, ...]]] = {
    "dislike_input_and_label": {
        "dislike_rate": (_homepage(-0.0244, ", figure 2a"), _immersive(-0.0110)),
        "repeated_dislike_rate": (_homepage(-0.0960), _immersive(-0.0710)),
        "dismissing_users": (_homepage(-0.0205),),
        "viewers": (_homepage(-0.0014),),
        "satisfied_consumption": (_immersive(0.0),),
        "unsatisfied_consumption": (_immersive(-0.0035),),
    },
    "dislike_input": {"dislike_rate": (_homepage(-0.0034, significant=False),)},
    "dislike_excluded": {"dislike_rate": (_homepage(-0.0084),)},
    "skip_label": {
        "enjoyment": (_immersive(0.0040, ", figure 2b"),),
        "hour_users": (_immersive(0.0061),),
        "repeated_skip_rate": (_immersive(-0.0144),),
        "diversity": (_immersive(0.0088),),
    },
}

_ALIGNED = "Zhang et al., CIKM ’24, section 5.5"


def _kuaishou(change: float) -> Published:
    return Published(change, "Kuaishou", _ALIGNED)


# arm of the test of the rankers -> metric -> what was found live
LIVE_RANKED: Mapping[str, Mapping[str, tuple[Published, ...]]] = {
    "aligned": {
        "watch_time": (_kuaishou(0.00124),),
        "watch_time_per_item": (_kuaishou(0.00509),),
        "positive_to_negative": (_kuaishou(0.00333),),
    }
}
# On the paper's own tower as well as with Heed's memory of dislikes the paper's figures are those to hold up against.
_PAPER_TOWERS = {f"{signals}_paper_tower": LIVE[signals] for signals in ("dislike_input", "dislike_input_and_label")}
PUBLISHED = {**LIVE, **_PAPER_TOWERS, **LIVE_RANKED}
