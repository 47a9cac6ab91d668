"""Counterfactual responsiveness of an exported recommender: simulated users, their behaviour, the branches compared.

  python -m simulation.counterfactual --config=configs/counterfactual.py --recommender=EXPORT --workdir=DIR

Sizes: `standard` is the paper's (2,000 users, k = 50), the default; `tiny` serves tests and laptops.
Expected for long_watch+dislike: a model that is blind to dislikes 0 exactly. The paper: dislikes as input -22.7% by
content and -22.8% by creator, as input and training label -60.8% and -64.1%. Seconds, not minutes, on 2 cores.
"""

from ml_collections import ConfigDict

SIZES = {
    "standard": {"users": 2_000, "k": 50, "slate_size": 100},
    "tiny": {"users": 50, "k": 8, "slate_size": 10},
}


def get_config(size: str = "standard") -> ConfigDict:
    """The settings of one size."""
    if size not in SIZES:
        raise ValueError(f"no size '{size}' in configs/counterfactual.py; write one of {', '.join(SIZES)}")
    config = ConfigDict(SIZES[size])
    config.seed = 0

    # At the k-th item: every branch is compared with the baseline. A play, then any of +like, +follow, +comment,
    # +share, +dislike (simulation/actions.py).
    config.baseline = "long_watch"
    config.branches = ("long_watch+dislike", "skip", "quit_early")

    # Before it, random behaviour: what is done with each item, whatever the item is. The shares of these plays in
    # KuaiRand-Pure. No dislikes, so that the branch measures the answer to a first one, not to one more.
    config.behaviours = ConfigDict(
        {"skip": 0.41, "quit_early": 0.13, "medium_watch": 0.14, "long_watch": 0.30, "long_watch+like": 0.02}
    )
    # P(item at place j of the slate, from 1) is proportional to j^-place_power: 0 is any item of the slate alike.
    config.place_power = 0.0
    # The first item: P is proportional to its training count to this power. 1: by popularity; 0: any item alike.
    config.first_item_power = 1.0

    config.bootstrap_samples = 2_000
    config.examples = 8  # users whose slates are written out for the report
    return config
