"""The latent truth as tables beside the world, and back again; and people as they were at a moment of their log."""

import dataclasses
from typing import Any

import numpy as np
import polars as pl

from data import feedback
from simulation.world.happened import Feed
from simulation.world.latent.catalogue import LatentCatalogue
from simulation.world.latent.people import NO_INTENT, LatentUsers, no_aversions
from simulation.world.population import DAY_MS

_ARRAYS = ("path", "weight", "belief", "eagerness", "willingness", "readiness", "intent", "had", "now")
_LOOKS_BACK = 80  # events of a session: at `keep` = 0.8 what lies before weighs 2e-8


def items(catalogue: LatentCatalogue) -> dict[str, Any]:
    """Columns of truth/items beside those of every feed: where an item lies, its true genre, its popularity by time."""
    return {"vector": catalogue.vector, "genre": catalogue.genre, "log_popularity": catalogue.path.T}


def users(feed: Feed, by_id: np.ndarray) -> pl.DataFrame:
    """truth/users: tastes on each day and what stays of a person; and intent, satiation and clock at the log's end."""
    columns = {name: getattr(feed.people, name)[by_id] for name in _ARRAYS}
    return pl.DataFrame(
        {"user_id": feed.user_id[by_id]} | {name: array.reshape(len(by_id), -1) for name, array in columns.items()}
    ).with_columns(pl.col(name).arr.get(0) for name, array in columns.items() if array.ndim == 1)


def aversions(feed: Feed) -> dict[str, Any]:
    """Columns of truth/aversions beside who and when: the item around which it lies, its least cosine, and on what day
    of the log it is over."""
    return {
        "against": ["region"] * len(feed.onset),
        "target_id": feed.item[feed.onset],
        "reach": feed.reach,
        "until_days": feed.until,
    }


def read_catalogue(base: dict[str, np.ndarray], known: pl.DataFrame) -> LatentCatalogue:
    """The catalogue of truth/items, `base` being its columns that every feed has."""
    return LatentCatalogue(
        **base,
        vector=known["vector"].to_numpy(),
        genre=known["genre"].to_numpy(),
        path=np.ascontiguousarray(known["log_popularity"].to_numpy().T),
    )


def read_people(known: pl.DataFrame, found: pl.DataFrame, catalogue: LatentCatalogue, config: Any) -> LatentUsers:
    """The people of truth/users at the log's end, with all their aversions `found`."""
    tastes, dim, count = config.people.tastes, config.latent.dim, known.height
    columns = {name: known[name].to_numpy() for name in _ARRAYS}
    path = columns["path"].reshape(count, config.days, tastes, dim)
    people = LatentUsers(
        **{**columns, "path": path, "belief": columns["belief"].reshape(count, tastes, dim)},
        taste=path[np.arange(count), np.minimum(columns["now"].astype(np.int64), config.days - 1)].copy(),
        **no_aversions(count, config),
    )
    set_aversions(people, found.with_columns(place="user_id"), catalogue)
    return people


def set_aversions(people: LatentUsers, found: pl.DataFrame, catalogue: LatentCatalogue) -> None:
    """Gives the people in the rows `place` the aversions beside them, in order; each had none."""
    place = found["place"].to_numpy()
    order = np.argsort(place, kind="stable")
    place = place[order]
    slot = np.arange(len(place)) - np.searchsorted(place, place)
    people.centre[place, slot] = catalogue.vector[found["target_id"].to_numpy()[order]]
    people.reach[place, slot] = found["reach"].to_numpy()[order]
    people.until[place, slot] = found["until_days"].to_numpy()[order]


def at_moments(
    people: LatentUsers, rows_of: np.ndarray, timestamp_ms: np.ndarray, found: pl.DataFrame, world: Any
) -> LatentUsers:
    """`people` [n], a row each, as they were just before the exposure of `rows_of` [n], users of the log, at a moment.

    At the moment of none of their events they are between sessions: of no intent, and have had nothing.
    `found`: the aversions that had set in, `place` being the row.
    """
    log, config, catalogue = world.log, world.config, world.catalogue
    event = _events_at(log, rows_of, timestamp_ms)
    inside = event >= 0
    begins = np.diff(log.session, prepend=-1) != 0
    begins[log.offsets[:-1][log.count > 0]] = True
    starts = np.flatnonzero(begins)  # the first event of each session of the log
    number = np.searchsorted(starts, event, side="right") - 1
    first = np.where(inside, starts[np.maximum(number, 0)], 0)
    days = (np.where(inside, log.timestamp_ms[first], timestamp_ms) - config.start_ms) / DAY_MS
    had = np.zeros_like(people.had)
    keep, engaged = config.people.keep, feedback.has(log.feedback, "click")
    for lag in range(min(_LOOKS_BACK, int(np.where(inside, event - first, 0).max(initial=0))), 0, -1):
        row = np.flatnonzero(inside & (event - lag >= first))
        at = event[row] - lag
        had[row] = keep * had[row] + (1 - keep) * engaged[at, None] * catalogue.vector[log.item[at]]
    day = np.clip(days.astype(np.int64), 0, config.days - 1)
    changed = dataclasses.replace(
        people,
        now=days,
        taste=people.path[np.arange(len(day)), day].copy(),
        intent=np.where(inside, log.intent[event], NO_INTENT).astype(np.int8),
        had=had,
        **no_aversions(len(day), config),
    )
    set_aversions(changed, found, catalogue)
    return changed


def _events_at(log: Any, users: np.ndarray, timestamp_ms: np.ndarray) -> np.ndarray:
    # The event [n] of each user at that very moment, -1 where there is none.
    if not len(log.item):
        return np.full(len(users), -1)
    least, most = log.timestamp_ms.min(), log.timestamp_ms.max()
    span = int(most - least) + 1
    keys = log.user.astype(np.int64) * span + (log.timestamp_ms - least)  # rising
    wanted = users.astype(np.int64) * span + (timestamp_ms - least)
    place = np.searchsorted(keys, wanted).clip(max=len(keys) - 1)
    return np.where((timestamp_ms >= least) & (timestamp_ms <= most) & (keys[place] == wanted), place, -1)
