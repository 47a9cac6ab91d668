"""The ceiling of retrieval on a synthetic feed, by both ways of asking: the work of `pipelines.retrieval_ceiling`."""

from collections.abc import Sequence

from data.timelines import Timelines
from retrieval import full_corpus
from retrieval.queries import NEXT_ITEM, ScoreFn, asked, positives
from runtime.artifact import write_json
from runtime.workdir import METRICS, begin
from simulation.world import kinds
from simulation.world.expectation.base import Expectation, Moments
from simulation.world.expectation.clustered import ClusteredExpectation
from simulation.world.expectation.latent import LatentExpectation
from simulation.world.state import World, open_world

SPLIT = "test"


def run(*, positive: Sequence[str], data: str, world: str, workdir: str | None, users: int, events: int) -> None:
    """Writes metrics.json.

    Errors: UsageError where the timelines are not of this world, or a positive is no feedback.
    """
    timelines, feed = Timelines.open(data), open_world(world)
    positive = positives(positive, timelines)
    scorers = truth(timelines, feed)
    identity = {
        "world": feed.config.to_dict(),
        "timelines": timelines.fingerprint,
        "positive": sorted(positive),
        "users": users,
        "events": events,
    }
    folder, complete = begin(workdir, identity)
    if complete:
        return
    queries = asked(timelines, split=SPLIT, positive=positive, users=users, events=events)
    metrics = full_corpus.evaluate(scorers, queries, timelines, label="ceiling").metrics
    write_json(folder / METRICS, metrics)
    print(f"the feed's own truth finds {metrics['recall@100']:.3f} (Recall@100): {folder / METRICS}")


def truth(timelines: Timelines, world: World) -> dict[str, ScoreFn]:
    """For each way of asking what the feed expects to show, and people to like, from then on.

    Errors: UsageError where the timelines are not of this world.
    """
    moments, latent = Moments(world, timelines), kinds.of(world.config) is kinds.LATENT
    expected: Expectation = LatentExpectation(moments) if latent else ClusteredExpectation(moments)
    ends_ms = int(timelines.manifest["end_ms"])
    return {
        "": lambda moments: expected.next_days(*moments, ends_ms=ends_ms),
        NEXT_ITEM: lambda moments: expected.next_item(*moments),
    }
