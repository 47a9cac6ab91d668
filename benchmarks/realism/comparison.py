"""The figures of a feed and of a log that `benchmarks.realism` sets side by side, and which of them are tested."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import polars as pl

from data import feedback, readers
from data.timelines import Timelines
from pipelines.systems.retrieval.ceiling import truth
from retrieval import full_corpus, simple_rules
from retrieval.queries import NEXT_ITEM, asked
from runtime.artifact import read_json
from runtime.errors import UsageError
from runtime.workdir import METRICS
from simulation.world.facts import log_facts
from simulation.world.state import open_world

TOLERANCE = 0.15
REFERENCE = "popularity_7d"  # what rules are measured by
GRU, CEILING = "plain GRU", "ceiling"
PROTOCOLS = {"next_days": "", "next_item": NEXT_ITEM}  # -> what stands before the names of its figures
TESTED_FACTS = (
    "next_same_cluster/within_a_minute",
    "next_same_cluster/hours_later",
    "next_explicit_is_dislike/after_dislike",
)
AGES = (1, 3, 7)  # days


def facts(timelines: Timelines, *, users: int, model: str | None = None, world: str | None = None) -> dict[str, float]:
    """All figures of one log by name: `<protocol>/<rule>`, Recall@100; those of simulation/world/facts.py; ages.

    Errors: UsageError where `model` is no evaluation, or one of another number of users than the rules are asked for.
    """
    found = recalls(timelines, users=users, world=world)
    if model:
        path = Path(model) / METRICS
        if not path.is_file():
            raise UsageError(f"{path}: no such file; give the workdir of a retrieval.evaluate")
        metrics = read_json(path)
        if metrics["users"] != found["users"]:
            raise UsageError(
                f"{path}: {metrics['users']:,.0f} users, and the rules are asked for {found['users']:,.0f}; "
                "give retrieval.evaluate the same --users, and the same timelines"
            )
        found |= _by_protocol(metrics, GRU)
    events, items = frames(timelines)
    return found | log_facts(events, items) | by_chance(events, items) | ages(timelines)


def recalls(timelines: Timelines, *, users: int, world: str | None = None) -> dict[str, float]:
    """`<protocol>/<rule>`: Recall@100 of every rule of retrieval/simple_rules.py at its best on the validation days,
    and of the truth of `world`; `skips/<rule>`, skip@100 over Recall@100 of next_days; and `users`, how many these are.
    """
    dataset = timelines.manifest.get("dataset", "tables")
    settings = readers.named(dataset).of_stage("retrieval")
    positive = tuple(settings.get("positive", ())) or timelines.positive_feedback
    queries = asked(timelines, split="test", positive=positive, users=users)
    found = {"users": float(len(queries[PROTOCOLS["next_days"]].moments.user))}
    rules = dict(simple_rules.tuned(timelines, tuple(queries), split="test", positive=positive))
    if world:
        rules[CEILING] = truth(timelines, open_world(world))
    for rule, scorers in rules.items():
        metrics = full_corpus.evaluate(scorers, queries, timelines, label=rule, samples=1).metrics
        found |= _by_protocol(metrics, rule)
        if "skip@100" in metrics:
            found[f"skips/{rule}"] = _ratio(metrics["skip@100"], metrics["recall@100"])
    return found


def _by_protocol(metrics: Mapping[str, float], rule: str) -> dict[str, float]:
    recalls = {f"{protocol}/{rule}": metrics.get(f"{prefix}recall@100") for protocol, prefix in PROTOCOLS.items()}
    return {name: recall for name, recall in recalls.items() if recall is not None}


def frames(timelines: Timelines) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Events of known time and items of timelines, as simulation/world/facts.py reads them."""
    known = timelines.timestamp_ms > 0
    bits = timelines.feedback[known]
    events = pl.DataFrame(
        {
            "user_id": timelines.user_of_event()[known],
            "item_id": timelines.item[known],
            "timestamp_ms": timelines.timestamp_ms[known],
            "play_ms": timelines.play_ms[known],
            **{name: feedback.has(bits, name) for name in ("click", "long_view", "like", "dislike")},
        }
    )
    table = timelines.items
    codes = {
        f"{name}_id": pl.Series(table[name] if name in table.columns else [0] * len(table)).replace(0, None)
        for name in ("creator", "cluster")
    }
    return events, pl.DataFrame({"item_id": pl.Series(range(len(table)), dtype=pl.Int32), **codes})


def by_chance(events: pl.DataFrame, items: pl.DataFrame) -> dict[str, float]:
    """P(two events of anybody's are of the same cluster), Σ p²: what stickiness is to be held against."""
    share = events.join(items, on="item_id")["cluster_id"].drop_nulls().value_counts(normalize=True)["proportion"]
    return {"same_cluster/by_chance": float((share**2).sum())}


def ages(timelines: Timelines) -> dict[str, float]:
    """Shares of the test days' events on items that anybody met first at most so many days before; never before."""
    known = np.flatnonzero(timelines.timestamp_ms > 0)
    time, item = timelines.timestamp_ms[known], timelines.item[known]
    first = np.full(timelines.num_items + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, item, time)
    first[timelines.item[timelines.timestamp_ms == 0]] = 0  # in the history before the log
    test = timelines.in_split("test")[known]
    age_days = (time[test] - first[item[test]]) / 86_400_000
    found = {f"item_age/at_most_{days}_days": float((age_days <= days).mean()) for days in AGES}
    unknown = first[item[test]] >= timelines.manifest["test_start_ms"]
    return {**found, "item_age/not_met_before_the_test_days": float(unknown.mean())}


def compared(feed: Mapping[str, float], log: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Name -> (the feed's, the log's) of each figure that is tested: ratios to REFERENCE, and TESTED_FACTS."""
    pairs = {}
    for name in feed:
        protocol, _, rule = name.partition("/")
        base = f"{protocol}/{REFERENCE}"
        if protocol in PROTOCOLS and rule != REFERENCE and name in log and base in log:
            pairs[name] = (_ratio(feed[name], feed[base]), _ratio(log[name], log[base]))
    return pairs | {name: (feed[name], log[name]) for name in TESTED_FACTS}


def order(figures: Mapping[str, float], protocol: str) -> list[str]:
    """The rules of a protocol, the one that finds most first."""
    of_protocol = {name.partition("/")[2]: value for name, value in figures.items() if name.startswith(f"{protocol}/")}
    return sorted(of_protocol, key=lambda rule: -of_protocol[rule])


def lines(feed: Mapping[str, float], log: Mapping[str, float] | None) -> list[str]:
    """The tested figures with their verdicts, the rules in order, then everything."""
    rows = []
    if log is not None:
        rows.append(f"{'tested, of ' + REFERENCE + ' where a rule':<48}{'feed':>10}{'log':>10}{'off by':>10}")
        for name, (ours, theirs) in compared(feed, log).items():
            off = _ratio(ours, theirs) - 1
            verdict = "within" if abs(off) <= TOLERANCE else "OUTSIDE"
            rows.append(f"{name:<48}{ours:>10.3f}{theirs:>10.3f}{off:>+10.1%}  {verdict} {TOLERANCE:.0%}")
        for protocol in PROTOCOLS:
            for title, figures in (("feed", feed), ("log", log)):
                rows.append(f"{protocol}, {title}: {' > '.join(order(figures, protocol))}")
    rows.append(f"{'all':<48}{'feed':>10}" + (f"{'log':>10}" if log is not None else ""))
    for name, value in feed.items():
        beside = "" if log is None else f"{log[name]:>10.4g}" if name in log else f"{'-':>10}"
        rows.append(f"{name:<48}{value:>10.4g}{beside}")
    return rows


def _ratio(figure: float, base: float) -> float:
    return figure / base if base else math.nan
