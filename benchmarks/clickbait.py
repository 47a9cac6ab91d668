r"""True satisfaction of what SAQRec recommends on the synthetic feed, against the base recommender, in one command.

    python -m simulation.world --config=configs/world.py:demo --workdir=runs/world
    python -m data.prepare --config=configs/data.py:tables --data=runs/world/tables --workdir=runs/timelines
    python -m satisfaction.train --config=configs/satisfaction.py:demo --config.protocol=leave_one_out \
        --data=runs/timelines --workdir=runs/satisfaction
    python -m benchmarks.clickbait --world=runs/world --data=runs/timelines --run=runs/satisfaction --workdir=DIR

For each user, at the moment of the held-out click: the top 10 of the items not clicked yet, and how likely, by the
feed's own behaviour model, the user would be satisfied with each. No model has ever seen this truth. SAQRec ranks by
click logit + w · log predicted satisfaction; w = 0 is the paper's. The largest w of the grid that keeps 98% of the base
recommender's HR@10 on the validation clicks is chosen; the test clicks are read once, after that. Where no w keeps as
much that is said, and w = 0 is measured alone.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from runtime import app

_WORLD = flags.DEFINE_string("world", None, "Workdir of simulation.world, with its truth.", required=True)
_DATA = flags.DEFINE_string("data", None, "The timelines made of its tables.", required=True)
_RUN = flags.DEFINE_string("run", None, "A finished satisfaction.train on them.", required=True)
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder for metrics.json.", required=True)
_KEEP = flags.DEFINE_float("keep", 0.98, "Share of the base recommender's HR@10 that has to be kept.")

WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
TOP = 10


def main(argv: Sequence[str]) -> None:
    """Chooses the weight on the validation clicks, measures on the test clicks, prints."""
    del argv
    # Imported here so that --help does not wait for them.
    import numpy as np

    from benchmarks.feed_truth import true_satisfaction
    from data.timelines import Timelines
    from metrics import intervals, ranking
    from runtime.artifact import write_json
    from satisfaction.alignment import SAQREC
    from satisfaction.evaluation import ScoreFn, rank, unclicked
    from satisfaction.protocol import draw_negatives
    from satisfaction.run_folder import open_run
    from simulation.world_state import open_world
    from training.compilation import enable_compilation_cache

    enable_compilation_cache()
    world, timelines = open_world(_WORLD.value), Timelines.open(_DATA.value)
    # Of a refitted run the model that chooses has not learned the validation clicks, and the one that is measured has.
    runs = {split: open_run(_RUN.value, timelines, split=split, flag="--run") for split in ("valid", "test")}
    run = runs["test"]
    clicks = run.models[SAQREC].histories.clicks

    def weighted(weight: float, split: str = "test") -> ScoreFn:
        model = runs[split].models[SAQREC]
        return lambda users, before: model.score(users, before, satisfaction_weight=weight)

    def hits(score: ScoreFn, split: str, label: str) -> np.ndarray:
        users, _ = clicks.targets(split)
        negatives = draw_negatives(clicks, users, seed={"valid": 1, "test": 0}[split])
        places = rank(score, clicks, negatives, split=split, label=label).sampled
        return ranking.hit_rate(places[:, None], TOP)

    def satisfaction(score: ScoreFn) -> np.ndarray:
        users, before = clicks.targets("test")
        scores = np.concatenate(
            [np.asarray(score(users[s : s + 256], before[s : s + 256])) for s in range(0, len(users), 256)]
        )
        top = ranking.top_k(scores, TOP, eligible=unclicked(clicks, users, before))  # [Q, TOP]
        moments = np.asarray(timelines.timestamp_ms)[clicks.event[before]]
        return true_satisfaction(world, timelines, users, clicks.corpus[top], moments).mean(axis=1)

    floor = _KEEP.value * hits(run.base_score, "valid", "base, validation").mean()
    kept = {w: hits(weighted(w, "valid"), "valid", f"w = {w:g}, validation").mean() for w in WEIGHTS}
    keeping = [weight for weight, value in kept.items() if value >= floor]
    if not keeping:
        print(
            f"no weight keeps {_KEEP.value:.0%} of the base recommender's HR@10 on the validation clicks: w = 0 stays"
        )
    chosen = max(keeping, default=0.0)
    rows = {"base": run.base_score, "saqrec, w = 0": weighted(0.0), f"saqrec, w = {chosen:g}": weighted(chosen)}
    found = {name: (hits(score, "test", name), satisfaction(score)) for name, score in rows.items()}
    metrics: dict[str, float] = {"satisfaction_weight": chosen, "valid/floor": float(floor)}
    metrics["valid/kept"] = float(bool(keeping))
    metrics |= {f"valid/w={weight:g}/hr@10": float(value) for weight, value in kept.items()}
    print(f"{'':<18}{'HR@10':>9}{'true satisfaction of the top 10':>34}{'gain over base':>30}")
    base_hits, base_satisfaction = found["base"]
    for name, (hit, satisfied) in found.items():
        gain = intervals.difference(base_satisfaction, satisfied)
        change = intervals.relative_change(base_hits, hit)
        key = {"base": "base", "saqrec, w = 0": "paper"}.get(name, "chosen")
        if name == f"saqrec, w = {chosen:g}":
            key = "chosen"
        metrics |= {f"{key}/hr@10": float(hit.mean()), f"{key}/satisfaction@10": float(satisfied.mean())}
        metrics |= intervals.flat({"satisfaction@10": gain, "hr@10/relative": change}, f"{key}/gain_over_base/")
        bounds = f"{gain.value:+.4f} ({gain.low:+.4f} to {gain.high:+.4f})"
        print(f"{name:<18}{hit.mean():>9.4f}{satisfied.mean():>34.4f}{bounds:>30}")
    folder = Path(_WORKDIR.value)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "metrics.json", metrics)
    print(folder / "metrics.json")


if __name__ == "__main__":
    app.run(main)
