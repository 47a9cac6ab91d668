"""Lists of every recommender of a run, weighed by the feed's truth. Work of benchmarks.clickbait."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.clickbait.rows import ablated, simpler, weight_that_keeps
from benchmarks.unbiasedness.feed_truth import true_satisfaction
from data.timelines import Timelines
from metrics import intervals, ranking
from satisfaction.click_ranks import ScoreFn, rank, unclicked
from satisfaction.protocol import draw_negatives
from satisfaction.run_folder import open_run
from satisfaction.saqrec.alignment import BASE, SAQREC
from satisfaction.saqrec.clicks import Clicks
from simulation.world.state import World, open_world

WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
TOP = 10
PAPER, CHOSEN = "saqrec", "saqrec_weighted"  # SAQRec ranked by clicks, and with the chosen weight of satisfaction
_ROWS_HELD = 256  # users whose scores are in memory at a time


def compare(*, world: str, data: str, run: str, ablations: str | None, keep: float) -> dict[str, float]:
    """The whole comparison, named as in metrics.json. Errors: UsageError where a folder is not what its flag says."""
    truth, timelines = open_world(world), Timelines.open(data)
    # Of a refitted run the model that chooses has not learned the validation clicks, and the one that is measured has.
    runs = {split: open_run(run, timelines, split=split, flag="--run") for split in ("valid", "test")}
    clicks = runs["test"].models[SAQREC].histories.clicks

    def weighted(weight: float, split: str = "test") -> ScoreFn:
        model = runs[split].models[SAQREC]
        return lambda users, before: model.score(users, before, satisfaction_weight=weight)

    base = runs["valid"].models[BASE].score
    floor = float(keep * hits(base, clicks, split="valid", label="base, validation").mean())
    kept = {
        w: float(hits(weighted(w, "valid"), clicks, split="valid", label=f"w = {w:g}, validation").mean())
        for w in WEIGHTS
    }
    weight, is_kept = weight_that_keeps(kept, floor)
    if not is_kept:
        print(f"no weight keeps {keep:.0%} of the base recommender's HR@10 on the validation clicks: w = 0 stays")
    ours = {PAPER: weighted(0.0)} | ({CHOSEN: weighted(weight)} if weight else {})
    rows = {**simpler(runs["test"], timelines), **ours}
    rows |= ablated(Path(ablations), run, runs["test"], timelines) if ablations else {}
    found = {
        name: (hits(score, clicks, split="test", label=name), satisfaction(score, clicks, timelines, truth))
        for name, score in rows.items()
    }
    metrics = {"satisfaction_weight": weight, "valid/floor": floor, "valid/kept": float(is_kept)}
    metrics |= {f"valid/w={w:g}/hr@10": value for w, value in kept.items()}
    return metrics | figures(found, of=list(ours))


def hits(score: ScoreFn, clicks: Clicks, *, split: str, label: str) -> NDArray[np.float64]:
    """Whether the held-out click stands in the top 10 among 99 items never clicked, [Q]."""
    users, _ = clicks.targets(split)
    negatives = draw_negatives(clicks, users, seed={"valid": 1, "test": 0}[split])
    places = rank(score, clicks, negatives, split=split, label=label).sampled
    return ranking.hit_rate(places[:, None], TOP)


def satisfaction(score: ScoreFn, clicks: Clicks, timelines: Timelines, world: World) -> NDArray[np.float64]:
    """Mean P(satisfied), by the feed's truth, of the top 10 of the items not clicked before the test click, [Q]."""
    users, before = clicks.targets("test")
    top = np.concatenate(
        [
            ranking.top_k(np.asarray(score(u, b)), TOP, eligible=unclicked(clicks, u, b))
            for u, b in (
                (users[start : start + _ROWS_HELD], before[start : start + _ROWS_HELD])
                for start in range(0, len(users), _ROWS_HELD)
            )
        ]
    )  # [Q, TOP]
    moments = np.asarray(timelines.timestamp_ms)[clicks.event[before]]
    return true_satisfaction(world, timelines, users, clicks.corpus[top], moments).mean(axis=1)


def figures(found: Mapping[str, tuple[NDArray[np.float64], NDArray[np.float64]]], *, of: list[str]) -> dict[str, float]:
    """Means of each row's hits and satisfactions [Q], and what each row of `of` gains over every other, paired."""
    metrics: dict[str, float] = {}
    for name, (hit, satisfied) in found.items():
        metrics |= {f"{name}/hr@10": float(hit.mean()), f"{name}/satisfaction@10": float(satisfied.mean())}
        for ours in of:
            if ours != name:
                gains = {
                    "satisfaction@10": intervals.difference(satisfied, found[ours][1]),
                    "hr@10/relative": intervals.relative_change(hit, found[ours][0]),
                }
                metrics |= intervals.flat(gains, f"{ours}/gain_over/{name}/")
    return metrics


def table(metrics: Mapping[str, float]) -> str:
    """Rows down; what SAQRec's list of either kind gains in true satisfaction over each."""
    ending = "/satisfaction@10"
    names = [key.removesuffix(ending) for key in metrics if key.endswith(ending) and "/gain_over/" not in key]
    ours = [name for name in (PAPER, CHOSEN) if name in names]
    lines = [f"{'':<18}{'HR@10':>9}{'true satisfaction@10':>22}" + "".join(f"{f'gain of {o}':>32}" for o in ours)]
    for name in names:
        line = f"{name:<18}{metrics[f'{name}/hr@10']:>9.4f}{metrics[f'{name}/satisfaction@10']:>22.4f}"
        for key in (f"{o}/gain_over/{name}/satisfaction@10" for o in ours):
            gain = (
                f"{metrics[key]:+.4f} ({metrics[f'{key}/low']:+.4f} to {metrics[f'{key}/high']:+.4f})"
                if key in metrics
                else "–"
            )
            line += f"{gain:>32}"
        lines.append(line)
    return "\n".join(lines)
