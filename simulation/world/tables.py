"""The synthetic feed as tables: the log in canonical form, and apart from it the truth that no log holds.

`tables`: events, items, users. `truth`: impressions (row for row with events), items, users, and aversions, one row for
each cluster or creator that turned sour; of a latent feed (simulation/world/latent/truth.py) they have more columns.
"""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from runtime.artifact import writing
from simulation.world.behaviour import HIDDEN, LOGGED
from simulation.world.happened import Feed
from simulation.world.latent import truth as latent
from simulation.world.latent.catalogue import LatentCatalogue


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


def truth(feed: Feed) -> dict[str, pl.DataFrame]:
    """What is known of the feed because it was made: probabilities, tastes, qualities, aversions."""
    order = np.argsort(feed.timestamp_ms, kind="stable")
    reactions, catalogue, people = feed.reactions, feed.catalogue, feed.people
    impressions = pl.DataFrame({**_keys(feed, order), **{name: getattr(reactions, name)[order] for name in HIDDEN}})
    columns = {
        "item_id": np.arange(len(catalogue.creator)),
        "quality": catalogue.quality,
        "clickbait": catalogue.clickbait,
        "popularity": catalogue.popularity,
    }
    by_id = np.argsort(feed.user_id)
    if isinstance(catalogue, LatentCatalogue):
        return {
            "impressions": impressions.with_columns(latent.impressions(feed, order)),
            "items": pl.DataFrame(columns | latent.items(catalogue)),
            "users": latent.users(feed, by_id),
            "aversions": latent.aversions(feed),
        }
    items = pl.DataFrame(columns)
    users = pl.DataFrame(
        {
            "user_id": feed.user_id[by_id],
            "interest": people.interest[by_id],
            "favourite_creators": people.favourites[by_id],
            "willingness": people.willingness[by_id],
            "readiness": people.readiness[by_id],
        }
    )
    item = feed.item[feed.onset]
    aversions = pl.DataFrame(
        {
            "user_id": feed.user_id[feed.user[feed.onset]],
            "timestamp_ms": feed.timestamp_ms[feed.onset],
            "against": np.where(feed.onset_of_creator, "creator", "cluster"),
            "target_id": np.where(feed.onset_of_creator, catalogue.creator[item], catalogue.cluster[item]),
        }
    )
    return {
        "impressions": impressions,
        "items": items,
        "users": users,
        "aversions": aversions.sort("user_id", "timestamp_ms", maintain_order=True),
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
