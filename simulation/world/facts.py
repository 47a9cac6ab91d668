"""What a feedback log looks like in numbers: how often, for how long, and what comes after a dislike.

The same measurements on a real log and on the synthetic one (`python -m benchmarks.feedback_facts` sets them side by
side). All take canonical events with timestamp_ms, play_ms, click, long_view, like and dislike; a fact of which the log
has no case is NaN.
"""

import math

import polars as pl

from data.feedback import SKIP_BELOW_MS

CLOSE_MS = 60_000
FAR_APART_MS = 6 * 3_600_000


def log_facts(events: pl.DataFrame, items: pl.DataFrame) -> dict[str, float]:
    """All of them, in order; `items` gives each item's creator_id and cluster_id."""
    groups = items.select("item_id", "creator_id", "cluster_id")
    events = events.join(groups, on="item_id", how="left", maintain_order="left")
    return {**rates(events), **given_feedback(events), **stickiness(events), **around_first_dislike(events)}


def rates(events: pl.DataFrame) -> dict[str, float]:
    """Shares of all impressions, and the spread of activity over users."""
    per_user = events.group_by("user_id").len()["len"].sort()
    return {
        "users": len(per_user),
        "events": events.height,
        "items": events["item_id"].n_unique(),
        "events_per_user/median": _number(per_user.median()),
        "events_per_user/log_std": _number(per_user.log().std()),
        **{f"rate/{name}": _mean(events, name) for name in ("click", "long_view", "like", "dislike")},
        "rate/under_3_s": _mean(events, pl.col("play_ms") < SKIP_BELOW_MS),
        "rate/item_seen_before": 1 - events.select("user_id", "item_id").n_unique() / max(events.height, 1),
    }


def given_feedback(events: pl.DataFrame) -> dict[str, float]:
    """How long what was clicked, liked or disliked played, and how dislikes gather on users and in time.

    `after_like`, `after_dislike`: P(dislike) of a user's next event that is a like or a dislike.
    """
    disliked = events.filter(_is("dislike"))
    per_user = disliked.group_by("user_id").len()["len"]
    explicit = _in_order(events.filter(_is("like") | _is("dislike")))
    last = pl.col("dislike").shift(1).over("user_id").cast(pl.Float64)
    quantiles = {"p25": 0.25, "median": 0.5, "p75": 0.75}
    return {
        "play_ms/not_clicked/median": _number(events.filter(~_is("click"))["play_ms"].median()),
        "play_ms/clicked/median": _number(events.filter(_is("click"))["play_ms"].median()),
        "play_ms/liked/median": _number(events.filter(_is("like"))["play_ms"].median()),
        **{
            f"play_ms/disliked/{name}": _number(disliked["play_ms"].quantile(q, "linear"))
            for name, q in quantiles.items()
        },
        "disliked/clicked": _mean(disliked, "click"),
        "disliked/long_view": _mean(disliked, "long_view"),
        **{
            f"dislikes_per_disliking_user/{name}": _number(per_user.quantile(q, "linear"))
            for name, q in quantiles.items()
        },
        "next_explicit_is_dislike/after_like": _mean(explicit.filter(last == 0), "dislike"),
        "next_explicit_is_dislike/after_dislike": _mean(explicit.filter(last == 1), "dislike"),
    }


def stickiness(events: pl.DataFrame) -> dict[str, float]:
    """P(a user's next event, of another item, has the same cluster or creator): within a minute, and hours later."""

    def last(name: str) -> pl.Expr:
        return pl.col(name).shift(1).over("user_id")

    pairs = _in_order(events).select(
        gap=pl.col("timestamp_ms") - last("timestamp_ms"),
        other=pl.col("item_id") != last("item_id"),
        **{group: pl.col(f"{group}_id") == last(f"{group}_id") for group in ("cluster", "creator")},
    )
    facts = {}
    for group in ("cluster", "creator"):
        known = pairs.filter("other").drop_nulls(group)
        facts[f"next_same_{group}/within_a_minute"] = _mean(known.filter(pl.col("gap") < CLOSE_MS), group)
        facts[f"next_same_{group}/hours_later"] = _mean(known.filter(pl.col("gap") > FAR_APART_MS), group)
    return facts


def around_first_dislike(events: pl.DataFrame) -> dict[str, float]:
    """A user's events of a cluster before and after the first dislike in it: `share` of all the user's events then."""
    place = pl.int_range(pl.len()).over("user_id")
    events = _in_order(events.drop_nulls("cluster_id")).with_columns(place=place, total=pl.len().over("user_id"))
    first = events.filter(_is("dislike")).group_by("user_id", "cluster_id").agg(first=pl.col("place").min())
    met = events.join(first, on=["user_id", "cluster_id"])
    # Once for each pair of user and cluster: all the user's events before and after.
    pairs = met.filter(pl.col("place") == pl.col("first"))
    spans = {
        "before": (met.filter(pl.col("place") < pl.col("first")), int(pairs["place"].sum())),
        "after": (met.filter(pl.col("place") > pl.col("first")), int((pairs["total"] - 1 - pairs["place"]).sum())),
    }
    facts = {}
    for when, (span, everything) in spans.items():
        facts[f"cluster_{when}_dislike/share"] = span.height / everything if everything else math.nan
        for name in ("click", "long_view", "like", "dislike"):
            facts[f"cluster_{when}_dislike/{name}"] = _mean(span, name)
    return facts


def truth_facts(events: pl.DataFrame, impressions: pl.DataFrame) -> dict[str, float]:
    """What only the truth can tell: how much is served that has turned sour, and how users react to it.

    `impressions` are those of `simulation.world.tables.truth`, row for row with the synthetic feed's events.
    """
    averse, fine = events.filter(impressions["averse"]), events.filter(~impressions["averse"])
    answers = events.drop_nulls("questionnaire_answer")
    reactions = {
        f"{kind}/{name}": _mean(span, name)
        for name in ("dislike", "click", "long_view", "like")
        for kind, span in (("averse", averse), ("not_averse", fine))
    }
    return {
        "averse/share": averse.height / events.height,
        **reactions,
        "questionnaires/answered": answers.height / events.height,
        "questionnaires/satisfied": _mean(answers, "questionnaire_answer"),
        "satisfied": _mean(impressions, "satisfaction_probability"),
    }


def _in_order(events: pl.DataFrame) -> pl.DataFrame:
    return events.sort("user_id", "timestamp_ms", maintain_order=True)


def _is(name: str) -> pl.Expr:
    return pl.col(name).cast(pl.Boolean)


def _mean(frame: pl.DataFrame, what: str | pl.Expr) -> float:
    column = pl.col(what) if isinstance(what, str) else what
    return _number(frame.select(column.cast(pl.Float64).mean()).item())


def _number(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan
