"""Off-policy estimates: which policy is evaluated, and how coverage is measured.

  python -m simulation.off_policy --config=configs/off_policy.py --data=TIMELINES --arms=a=DIR,b=DIR --workdir=DIR

Sizes: `standard`, the default; `tiny` serves tests.
Arms may know nothing of the test days, whose random exposures are weighed: they are exports of models with
--counted_until=test.
Measured on the demo feed, one model, --coverage_seeds=50: 20 seconds of CPU; 86% to 96% of the intervals of long-view
rates hold the truth, and all of those of dislike rates, which are wide: the 779 random exposures are worth some 20 of
the policy's own.
"""

from ml_collections import ConfigDict

SIZES = {
    "standard": {"slate_size": 100, "pool": 5_000, "exposures": 5_000, "truth_draws": 100},
    "tiny": {"slate_size": 10, "pool": 100, "exposures": 100, "truth_draws": 20},
}


def get_config(size: str = "standard") -> ConfigDict:
    """The settings of one size."""
    if size not in SIZES:
        raise ValueError(f"no size '{size}' in configs/off_policy.py; write one of {', '.join(SIZES)}")
    config = ConfigDict(SIZES[size])
    config.seed = 0
    # The policy: a draw from the softmax of logits / temperature over the top slate_size items new to the user.
    config.temperature = 1.0
    # Coverage: each seed draws `exposures` contexts from a pool of that many moments of the test days, for each an item
    # uniformly, and the user's reaction; the truth is the policy's own rate over the pool, from truth_draws items each.
    # The people of the pool stay the same: what is measured is the chance of exposures, not of who the people are.
    config.bootstrap_samples = 1_000
    return config
