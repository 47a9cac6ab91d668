"""Tables of the response section."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pipelines.report.intervals import interval
from pipelines.report.tables import Row, row
from pipelines.systems.response.results import Response, one
from pipelines.systems.response.stages import PAPER_TOWER, RANKED, REFERENCE, REPLAYED, SERVED, signals
from pipelines.systems.retrieval.models import DISLIKE, KINDS, Models
from simulation.counterfactual.actions import Action
from simulation.counterfactual.courses import Branch

_NUMBERS = {1: "one", 2: "two", 3: "three", 4: "four", 5: "five"}


@dataclass(frozen=True)
class Table:
    """Headings of the columns after the first, and rows of relative changes; `shares`: the columns that are shares."""

    headings: Sequence[str]
    rows: Sequence[Row]
    note: str
    shares: Sequence[int] = ()


def tables(responses: Sequence[Response], models: Models) -> dict[str, Table]:
    """Heading -> table, of those whose experiments were made."""
    of_experiments = {
        "A no to one cluster, and then to others": elsewhere(responses),
        "After retrieval, and after ranking": ranked(responses, models),
        "After people’s own histories": replayed(responses, models),
        "At other lengths of history and slate": sweep(responses),
    }
    return {heading: table for heading, table in of_experiments.items() if table}


def elsewhere(responses: Sequence[Response]) -> Table | None:
    """What a no to other clusters leaves of one: for each kind, shares without and with the first, and the change."""
    response = one(responses, "elsewhere", SERVED)
    if response is None:
        return None
    metrics, baseline = response.metrics, Action.parse(response.config["baseline"])
    known = [kind for kind in KINDS if f"{DISLIKE}/{kind}" in metrics and kind != "vectors"]
    rows = []
    for branch in (Branch.parse(name) for name in response.config["branches"]):
        names = [f"similarity/{name}" for name in (branch.baseline(baseline).name, branch.name)]
        cells = [interval(metrics, f"{name}/{kind}") for kind in known for name in (*names, branch.name)]
        if any(cells):
            rows.append(Row(_since(branch), cells))
    headings = [f"{what}, {kind}" for kind in known for what in ("watched", "disliked", "change")]
    users = max((int(metrics.get(f"users/{kind}", 0)) for kind in known), default=0)
    note = (
        f"{users:,} users. Shares of the slate that are of the first item’s kind, where that item was watched and "
        "where it was disliked, after the same further events. The others are the clusters that fill most of the slate."
    )
    return Table(headings, rows, note, shares=[n for n in range(len(headings)) if n % 3 < 2]) if rows else None


def _since(branch: Branch) -> str:
    if not branch.others:
        return "Right after"
    done = "dislike" if branch.disliked > 1 else "watch"
    count = _NUMBERS.get(branch.others, str(branch.others))
    return f"After a {done} of {count} other{'s' if branch.others > 1 else ''}"


def sweep(responses: Sequence[Response]) -> Table | None:
    """The paper's dislike at other k and slate sizes, of the served model: a row per k and kind, a column per size."""
    response = one(responses, "sweeps", SERVED)
    if response is None:
        return None
    config = response.config
    sizes, lengths = sorted({*config["sweep_slate_size"], config["slate_size"]}), {*config["sweep_k"], config["k"]}
    rows = [
        Row(f"{k} items before, by {kind}", cells, emphasis=k == config["k"])
        for kind in KINDS
        for k in sorted(lengths)
        if any(cells := [interval(response.metrics, _key(config, k=k, size=size, kind=kind)) for size in sizes])
    ]
    return Table([f"first {size}" for size in sizes], rows, "Shaded: the length of everything above.")


def ranked(responses: Sequence[Response], models: Models) -> Table | None:
    """After retrieval alone beside after the ranker too, of the served model."""
    response = one(responses, RANKED, SERVED)
    if response is None or models.served is None:
        return None
    known = [kind for kind in KINDS if f"{DISLIKE}/{kind}" in response.metrics]
    # The sweep holds the same dislike on the same slates, by vectors too.
    swept = one(responses, "sweeps", SERVED)
    alone = swept.metrics if swept else models.served.counterfactual
    rows = [
        row(label, metrics, [f"{DISLIKE}/{kind}" for kind in known])
        for label, metrics in (("Retrieval alone", alone), ("Then ranked", response.metrics))
    ]
    users, size = response.config["users"], response.config["slate_size"]
    return Table([f"by {kind}" for kind in known], rows, f"Ranked: {users:,} users, the first {size} in its order.")


def replayed(responses: Sequence[Response], models: Models) -> Table | None:
    """A no at the last event of users of the log: a row for each model."""
    measured = {name: one(responses, REPLAYED, name) for name in (PAPER_TOWER, REFERENCE, SERVED)}
    found = {name: response for name, response in measured.items() if response}
    if not found:
        return None
    no = next(iter(found.values())).config["branches"][0]
    known = [kind for kind in KINDS if any(f"{no}/{kind}" in of.metrics for of in found.values())]
    rows = []
    for name, response in found.items():
        model = models.chosen(signals(models.run.pipeline, name))
        names = [f"{no}/{kind}" for kind in known]
        rows.append(row(model.title if model else name, response.metrics, names, emphasis=name == SERVED))
    users = max(int(of.metrics.get(f"users/{kind}", 0)) for of in found.values() for kind in known)
    done = "watched" if no == DISLIKE else "met"
    note = f"{users:,} users of the log, at their last event: {done}, once with and once without a dislike."
    return Table([f"by {kind}" for kind in known], rows, note)


def _key(config: Any, *, k: int, size: int, kind: str) -> str:
    # As simulation.counterfactual names what was measured otherwise than usual.
    prefix = "" if k == config["k"] else f"k_{k}/"
    return f"{prefix}{'' if size == config['slate_size'] else f'slate_{size}/'}{DISLIKE}/{kind}"
