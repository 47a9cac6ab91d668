"""An A/B test on the synthetic feed: how many users, for how long, and the premise about who comes back.

  python -m simulation.ab_test --config=configs/ab_test.py --world=WORLD --arms=control=DIR,treatment=DIR --workdir=DIR

Sizes: `standard` (20,000 people, 7 days), the default; `demo` (4,000 people, 7 days); `tiny` serves tests.
Measured with `demo` on the feed of configs/world.py:demo, no_dislike_signal against dislike_input_and_label at weight
1,000: 247 thousand impressions, 32 seconds of CPU, 0.6 GB; dislike rate -84% [-86%, -81%], repeated dislikes on the
same creator -98% [-99%, -97%], viewers +3.8% [-0.2%, +8.1%], enjoyment +8.3% [+2.4%, +14.5%]. The paper, behind other
stages of a platform that heeds dislikes already: -2.44%, -9.60%, -0.14%; enjoyment is not published for that one.
An A/A test (--aa_tests) of 400 people takes 5 seconds of CPU.
"""

from ml_collections import ConfigDict

# users: new people, in all arms together; aa_users: those of each A/A test, in two equal arms.
SIZES = {
    "standard": {"users": 20_000, "days": 7, "slate_size": 100, "aa_users": 400},
    "demo": {"users": 4_000, "days": 7, "slate_size": 100, "aa_users": 400},
    "tiny": {"users": 150, "days": 2, "slate_size": 10, "aa_users": 40},
}


def get_config(size: str = "standard") -> ConfigDict:
    """The settings of one size."""
    if size not in SIZES:
        raise ValueError(f"no size '{size}' in configs/ab_test.py; write one of {', '.join(SIZES)}")
    config = ConfigDict(SIZES[size])
    config.seed = 0

    # What is served: a draw from the softmax over the top slate_size items that are new to the user. Temperature 1 is
    # the model's own softmax; towards 0 it is the first item.
    config.temperature = 1.0

    # Who comes back (simulation/world/returning.py): the feed's premise, set before any test was run on it. A day that
    # satisfies 10 points better than usual raises the odds of coming tomorrow by a fifth, a dislike lowers them by a
    # fifth; a third of that is forgotten each day. One disappointing item in fifty is closed together with the feed.
    config.returning = {"satisfaction": 2.0, "dislike": -0.2, "decay": 0.67, "dismiss": 0.02}

    # Diversity: entropy over windows of so many consecutive items (Pan et al., CIKM '23, section 3.3).
    config.diversity_window = 10 if size == "tiny" else 100
    # A long day, in watch time. The published threshold is an hour, which is a metric of its own (`hour_users`); a user
    # of the feed is shown 11 to 43 items a day, of 13 seconds each, so that an hour is out of reach, and ten minutes,
    # which is not comparable with anything published, is what the most active get to.
    config.long_day_ms = 600_000

    # Dislikes per 100 impressions, by which users are sorted for the long run of dislikes and diversity.
    config.dislike_bins = (0.0, 0.01, 0.5, 1.0, 2.0, 4.0)

    config.bootstrap_samples = 1_000
    return config
