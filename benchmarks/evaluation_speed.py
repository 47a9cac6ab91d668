"""Time and memory of evaluation on corpora of many items: places by counting against places by a sort, and the rules.

  python -m benchmarks.evaluation_speed [--items=10000 --items=100000 --items=1000000] [--users=10000] [--rules]

A log of --log_users with 40 events each, of items by popularity within the user's community, the last two days held
out, is written into a temporary folder; the model is vectors of 64 and the mean of those of the last 50 events. Both
ways of finding places take turns on the same queries: a mask of what was met, a copy of the rest, and a sort or a
partition of that for every user, as before commit 323acf8, against counts in blocks. Then the whole evaluation of the
model is timed on --users, all figures and intervals of both ways of asking included, and with --rules that of every
simple rule on --rule_users, and the choice of its settings.
"""

import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from benchmarks.shared import record
from benchmarks.shared.side_by_side import ratios
from runtime import app, cores

if TYPE_CHECKING:
    import numpy as np

    from data.timelines import Timelines
    from retrieval.full_corpus import ModelScorer
    from retrieval.queries import Queries

_ITEMS = flags.DEFINE_multi_integer("items", [10_000, 100_000, 1_000_000], "Items; once for each row of the table.")
_USERS = flags.DEFINE_integer("users", 10_000, "Users of the whole evaluation.", lower_bound=1)
_LOG_USERS = flags.DEFINE_integer("log_users", 20_000, "Users of the log.", lower_bound=1)
_TURN = flags.DEFINE_integer("turn", 64, "Queries of a turn.", lower_bound=1)
_REPEATS = flags.DEFINE_integer("repeats", 3, "Turns of each; the median counts.", lower_bound=1)
_RULES = flags.DEFINE_boolean("rules", False, "Also the simple rules.")
_RULE_USERS = flags.DEFINE_integer("rule_users", 200, "Users of each rule's evaluation.", lower_bound=1)

DIM, EVENTS, READ, SLATE = 64, 40, 50, 100
_COMMUNITIES, _DAYS, _DAY = 1_000, 20, 86_400_000


def write_log(folder: Path, num_items: int, num_users: int) -> "Timelines":
    """Timelines of clicks: half of a user's are of its community's items, half of all, popular ones more often."""
    import numpy as np
    import polars as pl

    from data import feedback, timelines

    rng = np.random.default_rng(0)
    size = num_users * EVENTS
    communities = min(_COMMUNITIES, num_items // 100)
    popular = (num_items * rng.random(size) ** 3).astype(np.int64)  # of all
    own = np.repeat(rng.integers(communities, size=num_users), EVENTS)
    within = (num_items // communities * rng.random(size) ** 2).astype(np.int64) * communities + own
    item = 1 + np.where(rng.random(size) < 0.5, within % num_items, popular)
    day = np.sort(rng.integers(_DAYS, size=(num_users, EVENTS)), axis=1)
    offsets = np.arange(num_users + 1) * EVENTS
    skipped = rng.random(size) < 0.2
    play_ms = np.where(skipped, 1_000, 30_000)
    index = np.arange(num_items + 1)
    timelines.write(
        folder,
        arrays={
            **dict.fromkeys(timelines.EVENT_DTYPES, np.zeros(size)),
            "item": item,
            "timestamp_ms": day.ravel() * _DAY + 1,
            "play_ms": play_ms,
            "dwell": feedback.dwell_bucket(play_ms),
            "feedback": feedback.to_bits({"click": ~skipped, "like": ~skipped}, play_ms=play_ms),
            "offsets": offsets,
            "valid_start": offsets[:-1] + (day < _DAYS - 2).sum(axis=1),
            "test_start": offsets[:-1] + (day < _DAYS - 1).sum(axis=1),
        },
        items=pl.DataFrame(
            {
                "item_id": [None, *range(1, num_items + 1)],
                "creator": np.where(index > 0, index % 997 + 1, 0).astype(np.int32),
                "cluster": np.where(index > 0, index % 50 + 1, 0).astype(np.int32),
                "train_count": np.zeros(num_items + 1, np.int32),
            }
        ),
        users=pl.DataFrame({"user_id": range(num_users)}),
        fields={
            "vocabulary_hash": "made up",
            "valid_start_ms": (_DAYS - 2) * _DAY,
            "test_start_ms": (_DAYS - 1) * _DAY,
            "end_ms": _DAYS * _DAY,
            "feedback": list(feedback.BITS),
        },
    )
    return timelines.Timelines.open(folder)


def mean_model(log: "Timelines") -> "ModelScorer":
    """The mean of the random vectors of the last events, whose inner products with all vectors are the scores."""
    import jax
    import numpy as np

    from data.events_read import Reading
    from retrieval import full_corpus

    vectors = np.random.default_rng(1).normal(size=(log.num_items + 1, DIM)).astype(np.float32)
    table = jax.device_put(vectors)

    @jax.jit
    def encode(table: Any, item: Any) -> Any:
        where = (item > 0)[..., None]
        return (table[item] * where).sum(axis=1) / jax.numpy.maximum(where.sum(axis=1), 1)

    return full_corpus.ModelScorer(lambda inputs: encode(table, inputs["item"]), vectors, log, reading=Reading(READ))


def by_counting(scores: "np.ndarray", log: "Timelines", of: "Queries") -> None:
    """Places of the targets, and the slates."""
    from metrics import ranking

    met = of.met()
    ranking.target_places(scores, of.items, excluded=met, where=of.kind >= 0)
    ranking.top_k(scores, SLATE, excluded=met)


def by_sorting(scores: "np.ndarray", log: "Timelines", of: "Queries") -> None:
    """The same from a copy of what each user has not met."""
    import numpy as np

    eligible = np.ones(scores.shape, bool)
    eligible[of.met()] = False
    for row in range(len(scores)):
        shown = scores[row, eligible[row]]
        own = scores[row, of.items[row][of.kind[row] >= 0]]
        if len(own) <= 8:
            [(np.count_nonzero(shown > one), np.count_nonzero(shown == one)) for one in own]
        else:
            ascending = np.sort(shown)
            [np.searchsorted(ascending, own, side=side) for side in ("left", "right")]
        columns = np.flatnonzero(eligible[row])
        loss = -scores[row][columns]
        edge = np.partition(loss, SLATE - 1)[SLATE - 1]
        inside, tied = np.flatnonzero(loss < edge), np.flatnonzero(loss == edge)
        kept = np.sort(np.concatenate([inside, tied[: SLATE - len(inside)]]))
        columns[kept][np.argsort(loss[kept], kind="stable")]


def turns(log: "Timelines", score: "ModelScorer", of: "Queries") -> list[list[float]]:
    """Milliseconds of CPU a query in each turn: scores alone, places by sorting, places by counting."""
    import numpy as np

    size = max(1, (1 << 24) // (log.num_items + 1))

    def milliseconds(work: Callable[[], object], queries: int) -> float:
        begin = time.process_time()  # machines are shared
        work()
        return 1e3 * (time.process_time() - begin) / queries

    times = np.zeros((_REPEATS.value, 3))
    for repeat in times:
        count = min(_TURN.value, len(of.moments.user))
        for start in range(0, count, size):
            batch = of.rows(slice(start, min(start + size, count)))
            scores = score(batch.moments)
            repeat[0] += milliseconds(lambda: score(batch.moments), count)  # noqa: B023
            repeat[1] += milliseconds(lambda: by_sorting(scores, log, batch), count)  # noqa: B023
            repeat[2] += milliseconds(lambda: by_counting(scores, log, batch), count)  # noqa: B023
    return times.T.tolist()


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    # Imported here so that --help does not wait for them.
    from retrieval import full_corpus, queries, simple_rules

    positive = ("like",)
    print(f"vectors of {DIM}, {cores.count()} core(s), milliseconds of CPU a query")
    print(f"{'items':>9} {'scores':>8} {'sorted':>8} {'counted':>8} {'ratio':>6}   whole evaluation")
    for num_items in _ITEMS.value:
        with tempfile.TemporaryDirectory() as folder:
            log = write_log(Path(folder) / "timelines", num_items, _LOG_USERS.value)
            asked = queries.asked(log, split="test", positive=positive, users=_USERS.value)
            model = mean_model(log)
            of_turns = turns(log, model, asked[""])
            scores, sorted_, counted = map(statistics.median, of_turns)
            gains = ratios(*of_turns[1:])
            begin, busy = time.perf_counter(), time.process_time()
            full_corpus.evaluate(dict.fromkeys(asked, model), asked, log, label=f"{num_items:,} items")
            seconds, busy = time.perf_counter() - begin, time.process_time() - busy
            of_each = " + ".join(f"{len(of.moments.user):,}" for of in asked.values())
            print(
                f"{num_items:>9,} {scores:>8.2f} {sorted_:>8.2f} {counted:>8.2f} {statistics.median(gains):>5.1f}x   "
                f"{of_each} queries {seconds:.0f} s, {busy:.0f} s of CPU, peak {record.peak_gib():.1f} GiB",
                flush=True,
            )
            what = f"places and top {SLATE}, {num_items:,} items, CPU a query"
            against = "a mask and a sort or partition for each"
            row = record.Row(what, "ms", counted, sorted_, against, less_is_better=True, turns=gains, own=True)
            record.hand_over(row)
            what = f"whole evaluation, {num_items:,} items, {of_each} queries"
            record.hand_over(record.Row(what, "s", seconds, less_is_better=True))
            if not _RULES.value:
                continue
            some = queries.asked(
                log, split="test", positive=positive, users=_RULE_USERS.value, events=_RULE_USERS.value
            )
            busy = time.process_time()
            tuned = simple_rules.tuned(log, tuple(some), split="test", positive=positive)
            print(f"{'':>9} rules: item-kNN counted and settings chosen in {time.process_time() - busy:.0f} s of CPU")
            total = sum(len(of.moments.user) for of in some.values())
            for name, scorers in tuned.items():
                busy = time.process_time()
                full_corpus.evaluate(scorers, some, log, label=name)
                print(f"{'':>9} {name:<20} {1e3 * (time.process_time() - busy) / total:>8.1f}", flush=True)
            print(f"{'':>9} peak {record.peak_gib():.1f} GiB")


if __name__ == "__main__":
    app.run(main)
