"""Rows of the retrieval sections' tables."""

from typing import Any

from pipelines.report.tables import Row, marked, row
from pipelines.systems.retrieval.models import Models
from retrieval.queries import NEXT_ITEM
from simulation.counterfactual.responsiveness import FILTERED

# metric, heading, whether more is better
COLUMNS = (
    ("recall@10", "Recall@10", True),
    ("recall@50", "Recall@50", True),
    ("recall@100", "Recall@100", True),
    ("recall@100/said_no", "Recall@100, said no", True),
    ("ndcg@10", "NDCG@10", True),
    ("ndcg@100", "NDCG@100", True),
    ("mrr", "MRR", True),
    ("skip@100", "Skip@100", False),
    ("dislike@100", "Dislike@100", False),
    ("delta_hr@10", "ΔHR@10", True),
    ("coverage@100", "Coverage@100", True),
)
# The two ways of asking (retrieval/queries.py), by what stands before the names of their figures.
ASKED = {"": "A query a user, for the days to come", NEXT_ITEM: "A query at each moment, for the next item"}
# Rules without training that every retrieval model is measured beside, by the prefix of their figures.
RULES = {
    "popularity_1d": "Popularity, last day",
    "popularity_7d": "Popularity, last 7 days",
    "item_knn": "Item-kNN",
    "item_knn_popularity": "Item-kNN × popularity",
    "counts": "Counts by cluster and creator",
}
# What `counts` counts by, by whether a log has clusters and creators; without either it is popularity once more.
_COUNTS = {(True, False): "Counts by cluster", (False, True): "Counts by creator", (False, False): ""}
_SMALL = 500  # items, of which the top 100 is a fifth
# What a model's scores are a weighted sum of (retrieval/counted/), by the name of its weight.
PARTS = {
    "towers": "Towers",
    "covisitation": "Co-visitation",
    "categories": "Categories",
    "popularity": "Popularity, since ever",
    "popularity_1d": "Popularity, last day",
    "popularity_7d": "Popularity, last 7 days",
}
THE_CEILING = "Ceiling: what the feed itself expects"
THE_TRUTH = "Just what, by the feed’s truth, the no is about"


def columns(models: Models, prefix: str = "") -> list[tuple[str, str, bool]]:
    """Those of COLUMNS that were measured by this way of asking."""
    return [column for column in COLUMNS if any(prefix + column[0] in model.test for model in models.all)]


def rules(models: Models) -> dict[str, str]:
    """Those of RULES that say something on the log of this run, with their labels."""
    known = (models.traits.clusters, models.traits.creators) if models.traits else (True, True)
    labels = {**RULES, "counts": _COUNTS.get(known, RULES["counts"])}
    return {rule: label for rule, label in labels.items() if label}


def small_corpus(models: Models) -> str:
    """What Recall@100 is worth where there are so few items that chance finds much of them; "" elsewhere."""
    if not 0 < models.num_items < _SMALL:
        return ""
    share = min(1.0, 100 / models.num_items)
    return (
        f"Of only {models.num_items} items the top 100 is {share:.0%}, so that an order by chance has a Recall@100 of "
        f"{share:.2f} or more: read Recall@10 here."
    )


def liked(models: Models) -> str:
    """What counts as liked on the log of this run, in words; "" where nothing was trained."""
    return " or ".join(f"a {name.replace('_', ' ')}" for name in models.positive)


def retrieval(models: Models, prefix: str = "") -> list[Row]:
    """Simple rules first, then the models, on the test days, by the way of asking that `prefix` says.

    Last, on a feed that knows it, the ceiling, which is no contestant: the best of a column are so among the others.
    """
    measured = [model for model in models.all if f"{prefix}recall@100" in model.test]
    names = [prefix + metric for metric, _, _ in columns(models, prefix)]
    rows = [
        row(label, measured[0].test, [f"{rule}/{name}" for name in names])
        for rule, label in rules(models).items()
        if measured and f"{rule}/{prefix}recall@100" in measured[0].test
    ]
    rows += [row(m.title, m.test, names, emphasis=m.emphasis) for m in measured]
    rows = marked(rows, [more for _, _, more in columns(models, prefix)])
    return rows + ([row(THE_CEILING, models.ceiling, names)] if rows and models.ceiling else [])


def parts(models: Models) -> dict[str, str]:
    """Those of PARTS that any model has a weight of, with their headings."""
    return {name: heading for name, heading in PARTS.items() if any(name in model.weights for model in models.all)}


def best_rule(models: Models) -> tuple[str, float] | None:
    """The simple rule that has most Recall@100 on the test days, and how much; None where none was measured."""
    figures = {
        label: model.test[f"{name}/recall@100"]
        for model in models.all
        for name, label in rules(models).items()
        if f"{name}/recall@100" in model.test
    }
    return max(figures.items(), key=lambda entry: entry[1]) if figures else None


def branches(models: Models) -> tuple[list[str], list[Row]]:
    """Relative change of similarity for every branch and kind: headings, and a row per model."""
    keys = list(dict.fromkeys(f"{b}/{k}" for b in models.simulation.get("branches", ()) for k in models.kinds))
    measured = [model for model in models.all if model.counterfactual]
    return keys, [row(model.title, model.counterfactual, keys, emphasis=model.emphasis) for model in measured]


def warranted(models: Models) -> Row | None:
    """How far a no would move the served model's slates if just what it is about went, by the feed's truth.

    A cell for each kind of similarity; None where no truth is known.
    """
    figures = models.served.counterfactual if models.served else {}
    keys = [f"{FILTERED}/{kind}" for kind in models.kinds]
    return row(THE_TRUTH, figures, keys) if any(key in figures for key in keys) else None


def examples(models: Models, *, users: int = 5) -> list[dict[str, Any]]:
    """The first users' slates of the served model, after the baseline and after a no to the same item, with how
    much of each whole slate (`size`) shares the item's content and creator (`shares`).
    """
    baseline, size = models.simulation.get("baseline", ""), models.simulation.get("slate_size", 0)
    shown = []
    for example in (models.served.examples if models.served else [])[:users]:
        slates = {name: example["slates"][name] for name in (baseline, models.no) if name in example["slates"]}
        shown.append({**example, "slates": slates, "baseline": baseline, "size": size})
    return shown
