"""The synthetic feed as tables: the log in canonical form, and apart from it the truth that no log holds.

`tables`: events, items, users. `truth`: impressions (row for row with events), items, users, and aversions, one row for
each thing that turned sour; beside what every feed has they have the columns of its kind (simulation/world/kinds.py).
"""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from runtime.artifact import writing
from simulation.world import kinds
from simulation.world.behaviour import HIDDEN, LOGGED
from simulation.world.happened import Feed


def tables(feed: Feed) -> dict[str, pl.DataFrame]:
    """What a platform would have logged; events in order of time."""
    order = np.argsort(feed.timestamp_ms, kind="stable")
    reactions, catalogue = feed.reactions, feed.catalogue
    events = pl.DataFrame(
        {
            **_keys(feed, order),
            "play_ms": reactions.play_ms[order],
            "duration_ms": catalogue.duration_ms[feed.item[order]],
            **{name: getattr(reactions, name)[order] for name in LOGGED},
            "randomly_exposed": feed.randomly_exposed[order],
            "questionnaire_shown": reactions.questionnaire_shown[order],
            "questionnaire_answer": pl.Series(reactions.satisfied[order].astype(np.int8)),
        }
    )
    answered = pl.Series(reactions.questionnaire_answered[order])
    items = pl.DataFrame(
        {
            "item_id": np.arange(len(catalogue.creator)),
            "creator_id": catalogue.creator,
            "cluster_id": catalogue.cluster,
            "duration_ms": catalogue.duration_ms,
            "uploaded_ms": catalogue.uploaded_ms,
        }
    )
    return {
        "events": events.with_columns(questionnaire_answer=pl.when(answered).then("questionnaire_answer")),
        "items": items,
        "users": pl.DataFrame({"user_id": np.sort(feed.user_id)}),
    }


def truth(feed: Feed, config: Any) -> dict[str, pl.DataFrame]:
    """What is known of the feed of `config` because it was made: probabilities, tastes, qualities, aversions."""
    order = np.argsort(feed.timestamp_ms, kind="stable")
    catalogue = feed.catalogue
    # Of a latent feed what the session was about, and its number.
    of_session = {name: column for name in ("intent", "session") if (column := getattr(feed, name)) is not None}
    known = {name: getattr(feed.reactions, name) for name in HIDDEN} | of_session
    columns = {
        "item_id": np.arange(len(catalogue.creator)),
        "quality": catalogue.quality,
        "clickbait": catalogue.clickbait,
        "popularity": catalogue.popularity,
    }
    who_and_when = {
        "user_id": feed.user_id[feed.user[feed.onset]],
        "timestamp_ms": feed.timestamp_ms[feed.onset],
    }
    kind = kinds.of(config).truth
    return {
        "impressions": pl.DataFrame({**_keys(feed, order), **{name: column[order] for name, column in known.items()}}),
        "items": pl.DataFrame(columns | kind.items(catalogue)),
        "users": kind.users(feed, np.argsort(feed.user_id)),
        "aversions": pl.DataFrame(who_and_when | kind.aversions(feed)).sort(list(who_and_when), maintain_order=True),
    }


def _keys(feed: Feed, order: np.ndarray) -> dict[str, np.ndarray]:
    return {
        "user_id": feed.user_id[feed.user[order]],
        "item_id": feed.item[order],
        "timestamp_ms": feed.timestamp_ms[order],
    }


def write(folder: Path, frames: dict[str, pl.DataFrame], *, kind: str, config: dict[str, Any]) -> None:
    """Writes each frame as Parquet into `folder`, which appears whole or not at all. Same frames, same bytes."""
    with writing(folder, kind=kind, version=1, fields={"config": config}) as partial:
        for name, frame in frames.items():
            frame.write_parquet(partial / f"{name}.parquet", compression="zstd", row_group_size=1 << 18)
