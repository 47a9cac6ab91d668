"""Runs the synthetic feed: all users in lock-step, one exposure each at a time, then puts the log on the clock."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import polars as pl

from runtime.progress import progress
from simulation.behaviour import Reactions, react, turn_sour
from simulation.logging_policy import LoggingPolicy
from simulation.population import Catalogue, Users, draw_catalogue, draw_users

_LOGGED = ("click", "like", "dislike", "follow", "comment", "share", "long_view")
_TRUTH = ("satisfied", "satisfaction_probability", "shown_propensity", "answered_propensity", "dislike_probability")


@dataclass(frozen=True)
class World:
    """The log as canonical tables, and the truth behind it as tables of the same row order."""

    tables: dict[str, pl.DataFrame]
    truth: dict[str, pl.DataFrame]


def simulate(config: Any) -> World:
    """Generates the feed of `config` (configs/world.py); the same config gives the same bytes."""
    rng = np.random.Generator(np.random.PCG64(config.seed))
    catalogue = draw_catalogue(rng, config)
    people = draw_users(rng, catalogue, config)
    policy = LoggingPolicy(rng, people=people, catalogue=catalogue, config=config)

    # Users sorted by activity: those still active at step t are the first so many.
    length = _draw_lengths(rng, config)  # [U], descending
    offset = np.concatenate([[0], np.cumsum(length)])
    user = np.repeat(np.arange(config.num_users), length)
    new_session = rng.random(len(user)) < 1 / config.policy.session
    new_session[offset[:-1]] = True
    item = np.zeros(len(user), np.int64)
    randomly = np.zeros(len(user), bool)
    log: dict[str, np.ndarray] = {}
    onsets: list[tuple[np.ndarray, int, np.ndarray]] = []

    with progress(label="synthetic feed", total=len(user), unit="event") as bar:
        for t in range(length[0]):
            active = np.arange(np.searchsorted(-length, -t))
            rows = offset[active] + t
            items, randomly[rows] = policy.serve(rng, active, new_session[rows])
            reactions = react(rng, active, items, people=people, catalogue=catalogue, config=config)
            cluster_now, creator_now = turn_sour(
                rng, active, items, reactions.click, people=people, catalogue=catalogue, config=config
            )
            policy.observe(active, items, reactions.click)
            item[rows] = items
            _store(log, rows, reactions, len(user))
            onsets += [(rows[cluster_now], 0, catalogue.cluster[items[cluster_now]])]
            onsets += [(rows[creator_now], 1, catalogue.creator[items[creator_now]])]
            bar.update(len(active))

    timestamp = _clock(rng, user, new_session, log["play_ms"], config)
    return _tables(rng, catalogue, people, user, item, randomly, timestamp, log, onsets, config)


def _draw_lengths(rng: np.random.Generator, config: Any) -> np.ndarray:
    # Heavy-tailed, scaled to the total asked for: int [U], descending.
    activity = rng.lognormal(sigma=config.activity_sigma, size=config.num_users)
    activity = np.minimum(activity / activity.mean(), config.max_activity)
    length = np.maximum(np.round(activity / activity.sum() * config.num_events), 3).astype(np.int64)
    return -np.sort(-length)


def _store(log: dict[str, np.ndarray], rows: np.ndarray, reactions: Reactions, total: int) -> None:
    for field in fields(reactions):
        value = getattr(reactions, field.name)
        log.setdefault(field.name, np.zeros(total, value.dtype))[rows] = value


def _clock(
    rng: np.random.Generator, user: np.ndarray, new_session: np.ndarray, play_ms: np.ndarray, config: Any
) -> np.ndarray:
    # Within a session the next item starts when the last one ends, and a moment later. What is left of the days is
    # divided among the pauses before, between and after a user's sessions in random proportions.
    total = config.days * 86_400_000
    busy = np.concatenate([[0], play_ms[:-1]]) + rng.integers(300, 2_000, size=len(user))
    busy[new_session] = 0
    pause = np.where(new_session, rng.exponential(size=len(user)), 0.0)
    after = rng.exponential(size=config.num_users)
    pauses = np.bincount(user, weights=pause, minlength=config.num_users) + after
    spare = total - np.bincount(user, weights=busy, minlength=config.num_users)
    step = busy + pause * (spare / pauses)[user]
    elapsed = np.cumsum(step)
    first = np.searchsorted(user, np.arange(config.num_users))
    before = np.where(first > 0, elapsed[np.maximum(first - 1, 0)], 0.0)
    return config.start_ms + (elapsed - before[user]).astype(np.int64)


def _tables(
    rng: np.random.Generator,
    catalogue: Catalogue,
    people: Users,
    user: np.ndarray,
    item: np.ndarray,
    randomly: np.ndarray,
    timestamp: np.ndarray,
    log: dict[str, np.ndarray],
    onsets: list[tuple[np.ndarray, int, np.ndarray]],
    config: Any,
) -> World:
    # Users were sorted by activity; their ids do not tell.
    user_id = rng.permutation(config.num_users)
    order = np.lexsort((np.arange(len(user)), timestamp))
    ids = {
        "user_id": user_id[user[order]],
        "item_id": item[order],
        "timestamp_ms": timestamp[order],
    }
    answered = log["questionnaire_answered"][order]
    events = pl.DataFrame(
        ids
        | {"play_ms": log["play_ms"][order], "duration_ms": catalogue.duration_ms[item[order]]}
        | {name: log[name][order] for name in _LOGGED}
        | {"randomly_exposed": randomly[order], "questionnaire_shown": log["questionnaire_shown"][order]}
    ).with_columns(
        questionnaire_answer=pl.when(pl.Series(answered)).then(pl.Series(log["satisfied"][order].astype(np.int8)))
    )
    impressions = pl.DataFrame(ids | {name: log[name][order] for name in _TRUTH} | {"averse": log["sour"][order]})
    items = pl.DataFrame(
        {
            "item_id": np.arange(config.num_items),
            "creator_id": catalogue.creator,
            "cluster_id": catalogue.cluster,
            "duration_ms": catalogue.duration_ms,
            "uploaded_ms": catalogue.uploaded_ms,
        }
    )
    item_truth = pl.DataFrame(
        {
            "item_id": np.arange(config.num_items),
            "quality": catalogue.quality,
            "clickbait": catalogue.clickbait,
            "popularity": catalogue.popularity,
        }
    )
    by_id = np.argsort(user_id)
    user_truth = pl.DataFrame(
        {
            "user_id": user_id[by_id],
            "interest": people.interest[by_id],
            "favourites": people.favourites[by_id],
            "willingness": people.willingness[by_id],
        }
    )
    rows = np.concatenate([rows for rows, _, _ in onsets])
    aversions = pl.DataFrame(
        {
            "user_id": user_id[user[rows]],
            "timestamp_ms": timestamp[rows],
            "kind": np.concatenate([np.full(len(rows), ("cluster", "creator")[kind]) for rows, kind, _ in onsets]),
            "target_id": np.concatenate([target for _, _, target in onsets]),
        }
    ).sort("user_id", "timestamp_ms", "kind")
    return World(
        tables={"events": events, "items": items, "users": pl.DataFrame({"user_id": user_id[by_id]})},
        truth={"impressions": impressions, "items": item_truth, "users": user_truth, "aversions": aversions},
    )


def facts(world: World) -> dict[str, float | int]:
    """What the log looks like: counts, and rates over impressions."""
    events, impressions = world.tables["events"], world.truth["impressions"]
    both = events.with_columns(averse=impressions["averse"])
    sour, fine = both.filter("averse"), both.filter(~pl.col("averse"))

    def mean(frame: pl.DataFrame, column: str) -> float:
        return float(frame[column].cast(pl.Float64).mean() or 0.0)  # type: ignore[arg-type]

    return {
        "users": world.tables["users"].height,
        "items": world.tables["items"].height,
        "events": events.height,
        **{f"rate/{name}": mean(events, name) for name in (*_LOGGED, "randomly_exposed", "questionnaire_shown")},
        "rate/under_3_s": float((events["play_ms"] < 3_000).mean() or 0.0),
        "rate/averse": mean(both, "averse"),
        "dislike/averse": mean(sour, "dislike"),
        "dislike/not_averse": mean(fine, "dislike"),
        "long_view/averse": mean(sour, "long_view"),
        "long_view/not_averse": mean(fine, "long_view"),
        "median_play_ms/disliked": float(events.filter("dislike")["play_ms"].median() or 0.0),  # type: ignore[arg-type]
        "median_play_ms/liked": float(events.filter("like")["play_ms"].median() or 0.0),  # type: ignore[arg-type]
        "questionnaires_answered": int(events["questionnaire_answer"].count()),
    }
