"""Whose lists are held up against the feed's truth: SAQRec's, and those of everything simpler on the same clicks.

Work of benchmarks.clickbait.
"""

from collections.abc import Mapping
from pathlib import Path

from ml_collections import ConfigDict

from data.timelines import Timelines
from runtime.artifact import checksum, read_json
from runtime.errors import UsageError
from runtime.workdir import CONFIG
from satisfaction.aligned import load_aligned
from satisfaction.alignment import GRU, SAQREC
from satisfaction.evaluation import ScoreFn, baseline_scorers
from satisfaction.run_folder import TrainedRun
from satisfaction.scores import open_scores
from satisfaction.splits import is_earlier
from satisfaction.training import SCORES
from satisfaction.variants import GROUPS, NAIVE


def simpler(run: TrainedRun, timelines: Timelines) -> dict[str, ScoreFn]:
    """Popularity, item-kNN, the base recommender and, where it was trained, the plain GRU, before the test clicks."""
    clicks = run.models[SAQREC].histories.clicks
    dated = ~is_earlier(timelines)[clicks.event]
    found = {**baseline_scorers(clicks, split="test", dated=dated), "base": run.base_score}
    return found | ({GRU: run.models[GRU].score} if GRU in run.models else {})


def ablated(folder: Path, run: TrainedRun, timelines: Timelines) -> Mapping[str, ScoreFn]:
    """SAQRec without its parts, as satisfaction.ablate left them in `folder`: of the run's click loss and seed 0.

    Errors: UsageError where there are none, or they are of another run, or only one of the two was refitted.
    """
    trained = folder / run.config.align.click_loss
    there = [name for name in GROUPS["ablations"] if (trained / name / "seed0" / "align" / CONFIG).exists()]
    if not there:
        raise UsageError(
            f"--ablations={folder}: no variants of click loss {trained.name} here; run satisfaction.ablate"
        )
    found: dict[str, ScoreFn] = {}
    for name in there:
        align = trained / name / "seed0" / "align"
        saved = read_json(align / CONFIG)
        if saved["base"] != checksum(run.embeddings.item.tobytes()) or saved["log"] != timelines.fingerprint:
            raise UsageError(f"--ablations={folder}: of another run than --run; give satisfaction.ablate this one")
        if saved["config"]["refit"] != run.config.align.refit:
            raise UsageError(f"--ablations={folder}: trained with --refit={saved['config']['refit']}, not as --run was")
        scores = open_scores(folder / "naive" / SCORES, timelines, "--ablations") if name == NAIVE else run.scores
        config = ConfigDict({**run.config.to_dict(), "align": saved["config"]})
        models = load_aligned(config, timelines, run.embeddings, scores, align, flag="--ablations")
        found[name] = models[SAQREC].score
    return found


def weight_that_keeps(kept: Mapping[float, float], floor: float) -> tuple[float, bool]:
    """The largest weight whose HR@10 `kept[weight]` is at least `floor`, and True; 0 and False where none is."""
    keeping = [weight for weight, value in kept.items() if value >= floor]
    return max(keeping, default=0.0), bool(keeping)
