"""How far one dislike reaches, on feeds of other rates of dislikes, logs of other sizes, and at other weights.

    python -m benchmarks.reach --config=configs/reach.py:demo --workdir=runs/reach

Sizes: `demo` (six feeds, sixteen trainings, about two hours of one core) and `tiny` (for tests). Every feed
is trained with Heed's memory of dislikes and on the paper's own tower, all else equal.
"""

from ml_collections import ConfigDict

TOWERS = ("dislike_input_and_label_paper_tower", "dislike_input_and_label")

# How readily people press dislike, on the feed `demo`; the last rate also takes more that turns sour.
_RATES: dict[str, dict[str, float]] = {
    "0.1% dislikes": {"behaviour.dislike": 0.00028, "behaviour.dislike_sour": 0.04},
    "0.3% dislikes": {"behaviour.dislike": 0.00084, "behaviour.dislike_sour": 0.12},
    "demo": {},
    "3% dislikes": {
        "behaviour.dislike": 0.0084,
        "behaviour.dislike_sour": 0.9,
        "behaviour.cluster_turns_sour": 0.0043,
        "behaviour.creator_turns_sour": 0.0017,
    },
}
# More people on the same items, each with as many events.
_SIZES: dict[str, dict[str, int]] = {
    "1M events": {"num_users": 6_667, "num_events": 1_000_000},
    "3M events": {"num_users": 20_000, "num_events": 3_000_000},
}


def get_config(size: str = "demo") -> ConfigDict:
    """The comparison of this size."""
    if size not in ("demo", "tiny"):
        raise ValueError(f"no comparison '{size}'; there are demo, tiny")
    config = ConfigDict()
    config.size = config.world = size  # of configs/retrieval.py and configs/counterfactual.py, and configs/world.py
    config.counterfactual = "tiny" if size == "tiny" else "standard"
    config.seeds = (0,)  # of the trainings
    # name, what differs from the feed of this size and from its training, and the weights of the negative labels. The
    # larger logs have steps enough for the lower rate, which finds more on their validation days.
    larger = (("learning_rate", 3e-3),)
    weights = (300.0, 1000.0, 3000.0)
    config.feeds = (
        *((name, tuple(world.items()), (), weights if name == "demo" else (1000.0,)) for name, world in _RATES.items()),
        *((name, tuple(world.items()), larger, (1000.0,)) for name, world in _SIZES.items()),
    )
    if size == "tiny":
        few = (("behaviour.dislike_sour", 0.1),)
        config.feeds = (("tiny", (), (), (100.0,)), ("few dislikes", few, (), (100.0,)))
    return config
