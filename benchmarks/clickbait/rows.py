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
from satisfaction import simple_rules
from satisfaction.click_ranks import ScoreFn
from satisfaction.experiments.variants import GROUPS, NAIVE
from satisfaction.run_folder import TrainedRun
from satisfaction.saqrec.alignment import SAQREC
from satisfaction.saqrec.embeddings import BaseEmbeddings
from satisfaction.saqrec.trained import load_aligned
from satisfaction.unbiased.imputed import open_scores
from satisfaction.unbiased.steps import EMBEDDINGS, SCORES


def simpler(run: TrainedRun, timelines: Timelines) -> dict[str, ScoreFn]:
    """The simple rules and, of the models that stand beside SAQRec, those that were trained, before the test clicks."""
    clicks = run.models[SAQREC].histories.clicks
    models = {name: model.score for name, model in run.models.items() if name != SAQREC}
    return {**simple_rules.tuned(clicks, timelines, split="test"), **models}


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
