"""Compares what SAQRec recommends with what everything simpler does, by the feed's truth. Work of benchmarks.clickbait.

The rows: SAQRec, ranked by clicks and by clicks and satisfaction, and on the same clicks the simple rules, the base
recommender, the plain GRU and SAQRec without its parts.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict
from numpy.typing import NDArray

from data.timelines import Timelines
from metrics import intervals, ranking
from runtime import table as text_table
from runtime.artifact import checksum, read_json
from runtime.errors import UsageError
from runtime.progress import chunks
from runtime.workdir import CONFIG
from satisfaction import simple_rules
from satisfaction.click_ranks import ScoreFn, rank
from satisfaction.experiments.variants import GROUPS, NAIVE
from satisfaction.protocol import draw_negatives
from satisfaction.run_folder import TrainedRun, open_run
from satisfaction.saqrec.alignment import BASE, SAQREC
from satisfaction.saqrec.clicks import Clicks
from satisfaction.saqrec.embeddings import BaseEmbeddings
from satisfaction.saqrec.trained import load_aligned
from satisfaction.unbiased.imputed import open_scores
from satisfaction.unbiased.steps import EMBEDDINGS, SCORES
from simulation.world.behaviour import inclinations
from simulation.world.matching import numbers
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
            ranking.top_k(np.asarray(score(u, b)), TOP, excluded=clicks.clicked(u, b))
            for u, b in ((users[part], before[part]) for part in chunks(len(users), _ROWS_HELD))
        ]
    )  # [Q, TOP]
    moments = np.asarray(timelines.timestamp_ms)[clicks.event[before]]
    return true_satisfaction(world, timelines, users, clicks.corpus[top], moments).mean(axis=1)


def true_satisfaction(
    world: World,
    timelines: Timelines,
    users: NDArray[np.integer],
    items: NDArray[np.integer],
    timestamp_ms: NDArray[np.int64],
) -> NDArray[np.float64]:
    """P(satisfied) [B, K], by the feed's behaviour model, of users [B] with items [B, K] just before the moments [B].

    Users and items are in the numbering of `timelines`. Errors: UsageError where these are not of the world.
    """
    person, item = numbers(timelines, world)
    environment = world.environment_at(person[users], timestamp_ms)  # one row a user and moment
    rows = np.repeat(np.arange(len(users)), items.shape[1])
    return inclinations(environment, rows, item[items].ravel()).satisfied.reshape(items.shape)


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

    def gain(key: str) -> str:
        bounds = "{:+.4f} ({:+.4f} to {:+.4f})"
        return bounds.format(*(metrics[key + end] for end in ("", "/low", "/high"))) if key in metrics else "–"

    rows = {
        name: [
            f"{metrics[f'{name}/hr@10']:.4f}",
            f"{metrics[f'{name}{ending}']:.4f}",
            *(gain(f"{one}/gain_over/{name}{ending}") for one in ours),
        ]
        for name in names
    }
    return text_table.text("", ["HR@10", "true satisfaction@10", *(f"gain of {one}" for one in ours)], rows)


def simpler(run: TrainedRun, timelines: Timelines) -> dict[str, ScoreFn]:
    """The simple rules and, of the models that stand beside SAQRec, those that were trained, before the test clicks."""
    clicks = run.models[SAQREC].histories.clicks
    models = {name: model.score for name, model in run.models.items() if name != SAQREC}
    return {**simple_rules.tuned(clicks, timelines, split="test", refit=run.config.align.refit), **models}


def ablated(folder: Path, trained_run: str, run: TrainedRun, timelines: Timelines) -> Mapping[str, ScoreFn]:
    """SAQRec without its parts, as satisfaction.ablate left them in `folder`: of the run's click loss and seed 0.

    `trained_run` is the folder of `run`.

    Errors: UsageError where there are none, or they are of another run, or only one of the two was refitted.
    """
    trained = folder / run.config.align.click_loss
    there = [name for name in GROUPS["ablations"] if (trained / name / "seed0" / "align" / CONFIG).exists()]
    if not there:
        raise UsageError(
            f"--ablations={folder}: no variants of click loss {trained.name} here; run satisfaction.ablate"
        )
    found: dict[str, ScoreFn] = {}
    embeddings = BaseEmbeddings.open(Path(trained_run) / EMBEDDINGS, timelines, "--run")
    for name in there:
        align = trained / name / "seed0" / "align"
        saved = read_json(align / CONFIG)
        if saved["base"] != checksum(embeddings.item.tobytes()) or saved["log"] != timelines.fingerprint:
            raise UsageError(f"--ablations={folder}: of another run than --run; give satisfaction.ablate this one")
        if saved["config"]["refit"] != run.config.align.refit:
            raise UsageError(f"--ablations={folder}: trained with --refit={saved['config']['refit']}, not as --run was")
        scores = open_scores(folder / "naive" / SCORES, timelines, "--ablations") if name == NAIVE else run.scores
        config = ConfigDict({**run.config.to_dict(), "align": saved["config"]})
        models = load_aligned(config, timelines, embeddings, scores, align, flag="--ablations")
        found[name] = models[SAQREC].score
    return found


def weight_that_keeps(kept: Mapping[float, float], floor: float) -> tuple[float, bool]:
    """The largest weight whose HR@10 `kept[weight]` is at least `floor`, and True; 0 and False where none is."""
    keeping = [weight for weight, value in kept.items() if value >= floor]
    return max(keeping, default=0.0), bool(keeping)
