"""The synthetic feed and its variants, in three sizes.

    python -m simulation.world --config=configs/world.py:demo --workdir=runs/world

`tiny` is for tests; `demo` (2,000 users, 3,000 items, 300k events) is what `make demo` runs; `standard` has 5,000
users, 10,000 items and 1M events (about 6 s on one core). README's table of responsiveness is of
`standard,latent`, docs/results.md has `demo` too. Expect about 1% dislikes.

The parameters are set from what logs show, where they show it: `python -m benchmarks.feedback_facts` prints both side
by side. Some things are the feed's own. Dislikes are commoner than in KuaiRand (1% of impressions, not 0.09%), so that
a small log can carry the signal; where nothing has turned sour they are as rare as there. And the platform is sticky by
premise: KuaiRand-Pure keeps 7,583 of millions of videos, so little of it is left there (the next video has the same
first tag in 17% of cases within a minute and 14% hours later; on the feed it is 26% and 16%), and hardly two of one
author. How sticky a feed is decides how much there is to say no to, and no log here settles it: `demo,sticky` and
`standard,sticky` serve the cluster just watched again in half of the cases, learn more slowly what is watched, and are
disliked three times as often where nothing has turned sour.

In that feed clusters say all of a taste, so that counting by cluster finds as much as any model here (what the feed
itself expects finds a fifth more), and on KuaiRand-Pure no more than popularity. `demo,latent` (5,000 users, 300k
events) and `standard,latent` (15,000 users, 1M events) are feeds whose tastes and items are points of a sphere
(simulation/world/latent/): they are set such that simple rules and a plain GRU find as much relative to each other as
on KuaiRand-Pure, the same tag follows as often and dislikes follow each other as often, each within 15% (`python -m
benchmarks.realism`). Nothing of how a model responds to a dislike was looked at. `demo,latent_rare` and
`standard,latent_rare` have 0.1% dislikes, as KuaiRand has.
"""

from collections.abc import Callable

from ml_collections import ConfigDict

_SIZES = {
    "tiny": {"num_users": 200, "num_items": 400, "num_creators": 80, "num_clusters": 12, "num_events": 24_000},
    "demo": {"num_users": 2_000, "num_items": 3_000, "num_creators": 500, "num_clusters": 40, "num_events": 300_000},
    "standard": {
        "num_users": 5_000,
        "num_items": 10_000,
        "num_creators": 1_500,
        "num_clusters": 80,
        "num_events": 1_000_000,
    },
}


# Of the latent feed. As many events a user as on KuaiRand-Pure with its earlier history, 40, or somewhat more. Among
# more items a taste counts for more against what is popular: where there are 10,000, the platform is less sharp.
_LATENT_SIZES = {
    "tiny": {},
    "demo": {"num_users": 5_000},
    "standard": {"num_users": 15_000, "policy.sharpness": 8.0, "popularity.fame_sigma": 1.6},
}
_STICKY = {
    "policy.same_cluster": 0.5,
    "policy.same_creator": 0.3,
    "policy.affinity_rate": 0.05,
    "behaviour.dislike": 0.010,
}


def get_config(name: str = "demo") -> ConfigDict:
    """The synthetic feed `<size>` (tiny, demo or standard) or `<size>,<variant>` (sticky, latent or latent_rare)."""
    size, _, variant = name.partition(",")
    if variant not in ("", *_VARIANTS):
        raise ValueError(f"no variant '{variant}' of a world; there are {', '.join(_VARIANTS)}")
    if size not in _SIZES:
        raise ValueError(f"no world called '{size}'; there are {', '.join(_SIZES)}")
    config = ConfigDict({"seed": 1, **_SIZES[size]})
    config.days = 14
    config.start_ms = 1_650_844_800_000  # 2022-04-25 00:00 UTC

    # Who is there and what there is.
    config.activity_sigma = 0.9  # of log events per user; 0.93 on KuaiRand-Pure
    config.max_activity = 4.0  # the most active user, in multiples of the mean, or a little more
    config.interests = 8  # clusters a user cares about
    config.favourite_creators = 6
    config.readiness = 2.0  # to press dislike: the smaller, the more users differ (a + b of a beta distribution)
    config.second_cluster = 0.15  # of an item, but a creator's first, to be of a second cluster, maybe the same
    config.popularity_sigma = 1.0  # of log popularity: of a creator, and again of an item within its creator
    config.duration_median_ms = 50_000  # KuaiRand-Pure: 53 s
    config.duration_sigma = 1.1
    config.duration_range_ms = (5_000, 300_000)

    # What a user does with an item, on the logit scale unless said otherwise.
    config.behaviour = ConfigDict(
        {
            # engage: watch beyond the first seconds. KuaiRand-Pure: 44% of impressions are clicks.
            "engage": -1.5,
            "engage_interest": 1.9,
            "engage_favourite": 0.7,
            "engage_quality": 0.5,
            "engage_clickbait": 0.8,
            "engage_sour": -0.8,
            # Play time: median and log sigma of the drawn part. KuaiRand-Pure: 1.8 s without a click, 26 s with.
            "glance_ms": 1_800,
            "glance_sigma": 0.85,
            "engaged_at_ms": 7_000,
            "watch_ms": 19_000,
            "watch_sigma": 1.3,
            "watch_sour": -0.7,  # added to log play time
            "dislike_delay_ms": 900,  # finding the button: a hated play lasts 4.4 s at the median
            # satisfied
            "satisfied": 0.2,
            "satisfied_interest": 1.5,
            "satisfied_favourite": 0.5,
            "satisfied_quality": 0.8,
            "satisfied_clickbait": -1.6,
            "satisfied_sour": -2.5,
            # Probabilities when engaged and satisfied for certain. KuaiRand-Pure: 1.7% of impressions are likes.
            "like": 0.052,
            "comment": 0.008,
            "follow": 0.004,
            "share": 0.0025,
            # Probability of a dislike: of what disappoints, and of whatever has turned sour, at any dwell.
            "dislike": 0.0028,
            "dislike_sour": 0.40,
            # Probability that an enjoyed exposure is one too many: its cluster, or creator, turns sour for good.
            "cluster_turns_sour": 0.0036,
            "creator_turns_sour": 0.0014,
        }
    )

    # What the platform shows. It counts watching, and never looks at a dislike.
    config.policy = ConfigDict(
        {
            "random": 0.025,  # share of uniformly random exposure
            "session": 20,  # events in a session, on average
            "same_cluster": 0.2,  # within a session, the chance to serve the cluster just watched again
            "same_creator": 0.6,  # of these, the same creator
            "favourite": 0.15,  # otherwise: an item of a creator the user follows
            "affinity_start": 0.6,  # of the dearest cluster
            "affinity_noise": 0.3,
            "affinity_floor": 0.05,
            "affinity_power": 2.0,
            "affinity_rate": 0.15,  # of the running mean of engagement, per exposure
        }
    )

    # Who is asked whether an item was satisfying, and who answers (logit scale). As in Zhang et al., CIKM '24, asked
    # are "specific users" about "a small subset of specific items", what they are known to watch, and some of them
    # answer; 3.5% of KuaiRand's impressions have an answer (their Table 1), here 3.4%. How strongly interest selects is
    # the feed's own: the paper gives no strengths, and with a weaker one (1.2 and 1.0) the naive model ordered as well.
    config.questionnaire = ConfigDict(
        {
            "shown": -6.0,
            "shown_interest": 4.0,
            "shown_popularity": 0.4,
            "answered": -1.2,
            "answered_interest": 2.0,
            "answered_willingness": 0.8,
        }
    )
    if variant:
        _VARIANTS[variant](config, size)
    return config


def _sticky(config: ConfigDict, size: str) -> None:
    del size
    config.update_from_flattened_dict(_STICKY)


def _latent(config: ConfigDict, size: str) -> None:
    """Replaces clusters of interest by a latent space: simulation/world/latent/ has the formulas."""
    for name in ("interests", "favourite_creators", "popularity_sigma"):
        del config[name]
    for name in ("cluster_turns_sour", "creator_turns_sour"):
        del config.behaviour[name]
    config.second_cluster = 0.3
    # Of sessions over the hours of the day; 0 is a flat day.
    config.daily_rhythm = 0.6

    # Items. Of KuaiRand-Pure's 7,583 videos 19% have the commonest first tag, which says little of them, and of two
    # events of anybody's 9% have the same.
    config.latent = ConfigDict(
        {
            "dim": 8,
            "genre_share": 0.5,  # of an item's place, that of its genre
            "creator_share": 0.1,  # and of its creator
            "genre_overlap": 0.065,  # probability that two items are of one genre
            "label_coarse": 0.19,  # share of items whose label says nothing
            "label_wrong": 0.10,  # and whose label is another genre's
        }
    )
    # There, the log counts of the 500 commonest videos correlate by .65 to .75 from one day to the next and by .3 after
    # four to five, and the commonest 1.3%, 10% and 50% of videos have 21%, 60% and 95% of all events.
    config.popularity = ConfigDict(
        {
            "fame_sigma": 1.5,  # of what stays of log popularity
            "fame_of_creator": 0.2,  # share of its variance that is the creator's
            "fame_quality": 0.6,
            "burst_rate": 0.15,  # bursts of an item a day
            "burst_height": 0.5,  # mean, of log popularity
            "burst_days": 2.5,  # in which it falls to 1 / e
            "upload_height": 0.5,  # added to the first burst
            "new_a_day": 0.01,  # share of the catalogue that is uploaded on each day
            "age_days": 20.0,  # mean of the rest, when the log begins
        }
    )
    config.people = ConfigDict(
        {
            "tastes": 2,
            "evenness": 2.0,  # of how often each is what a session is about: a Dirichlet distribution's
            "kinship": 0.5,  # how far tastes are drawn towards a person's first
            "beside": 0.6,  # how far from an item a taste begins
            "fame_power": 0.3,  # of the item's popularity, by which it is drawn
            "drift": 0.15,  # of a taste, a day
            "renewal": 0.02,  # probability that it is replaced by another, a day
            "low": 0.0,  # cosine from which an item interests
            "high": 0.8,  # and from which it interests fully
            "other_tastes": 0.7,  # what one is worth in a session that is about another
            "satiation": 0.5,
            "keep": 0.8,  # of what a session has had, after each further item
            "eagerness": 0.7,  # deviation of log odds to engage over people; click rates there: .19
            "aversions": 8,  # of one person, at most
        }
    )
    config.behaviour.update(
        {
            "engage": -2.3,
            "engage_interest": 2.8,
            "engage_quality": 0.8,  # deviation of videos' click rates there: .165
            "engage_favourite": 0.0,
            "satisfied_favourite": 0.0,
            "turns_sour": 0.0055,  # probability that an enjoyed exposure is one too many
            "reach": (0.5, 0.75),  # range of the least cosine to it that is averse from then on
            "fading": 0.4,  # share of aversions that are over some time
            "fade_days": 3.0,  # mean
        }
    )
    config.policy = ConfigDict(
        {
            "random": 0.025,
            "session": 10,
            "pool": 100,  # items of which one is shown
            "sharpness": 10.0,  # of the draw among them
            "belief_noise": 0.2,  # what the platform gets wrong about a taste
            "follow": 0.45,  # within a session, the chance to serve what engaged there
        }
    )
    config.update_from_flattened_dict(_LATENT_SIZES[size])


def _latent_rare(config: ConfigDict, size: str) -> None:
    """Dislikes at 0.1% of impressions, as on KuaiRand."""
    _latent(config, size)
    config.behaviour.update({"turns_sour": 0.0006, "dislike": 0.0006, "dislike_sour": 0.25})


_VARIANTS: dict[str, Callable[[ConfigDict, str], None]] = {
    "sticky": _sticky,
    "latent": _latent,
    "latent_rare": _latent_rare,
}
