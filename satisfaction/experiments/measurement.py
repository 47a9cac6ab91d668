"""Measures trained models on held-out clicks, beside the baselines: the work of `python -m satisfaction.evaluate`."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from data.timelines import Timelines
from metrics.binary import auc
from runtime.artifact import write_json
from runtime.errors import DataError, UsageError
from runtime.workdir import METRICS, begin
from satisfaction import simple_rules
from satisfaction.click_ranks import GROUPS, Ranks, activity_groups, rank
from satisfaction.experiments.examples import examples
from satisfaction.experiments.summary import figures_by_activity, table
from satisfaction.protocol import saved_negatives
from satisfaction.run_folder import TrainedRun, open_run
from satisfaction.saqrec.alignment import MODELS, SAQREC
from satisfaction.saqrec.trained import Aligned
from satisfaction.unbiased.answers import NO_ANSWER, SATISFIED, answers

PER_USER, EXAMPLES = "per_user.npz", "examples.json"
# Names that metrics.json uses, of rows and of what stands before the figures of the measured model.
_PARTS = ("full", "gain_over", "satisfaction", "level_weight", "users", "items")
RESERVED = (*MODELS, *simple_rules.RULES, *GROUPS, *_PARTS)
_SHOWN = ("hr@1", "hr@5", "hr@10", "ndcg@5", "ndcg@10", "mrr")


def run(
    *,
    data: str,
    checkpoint: str,
    compare: Mapping[str, str],
    workdir: str | None,
    split: str,
    seed: int,
    satisfaction_weight: float,
) -> None:
    """The whole measurement, from trained runs and timelines to the files in `workdir`.

    Args:
      compare: name of a row -> workdir of another satisfaction.train on the same timelines, such as an ablation.
      seed: of the sampled negatives. satisfaction_weight: what log σ(ŝ_f) weighs in the ranking; 0 is the paper.
    """
    timelines = Timelines.open(data)
    main = open_run(checkpoint, timelines, split=split, flag="--checkpoint")
    others = {name: open_run(folder, timelines, split=split, flag="--compare") for name, folder in compare.items()}
    for name, other in others.items():
        if other.config.protocol != main.config.protocol:
            raise UsageError(f"--compare={name}: trained with --config.protocol={other.config.protocol}, not the same")
    identity = {
        "timelines": timelines.manifest["files"],
        "runs": {name: one.fingerprint for name, one in {SAQREC: main, **others}.items()},
        "split": split,
        "seed": seed,
        "satisfaction_weight": satisfaction_weight,
    }
    folder, complete = begin(workdir, identity)
    if complete:
        return
    models = main.models
    if not all(SAQREC in one.models for one in (main, *others.values())):
        raise UsageError(f"--config.align.models of a run here has no {SAQREC}: it is what is measured; train it too")
    saqrec = models[SAQREC]
    clicks = saqrec.histories.clicks
    if not len(clicks.targets(split)[0]):
        raise DataError(f"{timelines.path}: no user has a click in the {split} split; take more days")
    negatives = saved_negatives(folder, clicks, seed=seed, split=split)

    scorers: dict[str, Any] = {SAQREC: partial(saqrec.score, satisfaction_weight=satisfaction_weight)}
    scorers |= simple_rules.tuned(clicks, timelines, split=split, refit=main.config.align.refit)
    scorers |= {name: model.score for name, model in models.items() if name != SAQREC}
    scorers |= {
        name: partial(other.models[SAQREC].score, satisfaction_weight=satisfaction_weight)
        for name, other in others.items()
    }
    ranks = {name: rank(score, clicks, negatives, split=split, label=name) for name, score in scorers.items()}

    metrics = figures_by_activity(ranks, main=SAQREC, groups=activity_groups(clicks, split))
    metrics |= {"users": float(len(negatives)), "items": float(clicks.num_items)}
    metrics |= satisfaction_figures(saqrec, main, timelines, split=split)
    _, before = clicks.targets(split)
    levels = saqrec(before).get("levels")
    if levels is not None:
        metrics |= {f"level_weight/{n + 1}": float(weight) for n, weight in enumerate(levels.mean(axis=0))}
    np.savez_compressed(
        folder / PER_USER, **{f"{name}/{kind}": getattr(r, kind) for name, r in ranks.items() for kind in Ranks._fields}
    )
    write_json(folder / EXAMPLES, examples(saqrec, main.scores, timelines, split=split, seed=seed))
    write_json(folder / METRICS, metrics)
    print(table(metrics, {name: "" if name == SAQREC else f"{name}/" for name in ranks}, _SHOWN))
    print(f"{len(negatives):,} users, {clicks.num_items:,} items, split {split}: {folder / METRICS}")


def satisfaction_figures(model: Aligned, trained: TrainedRun, timelines: Timelines, *, split: str) -> dict[str, float]:
    """AUC of the satisfaction head and of the imputed satisfactions, over held-out answers of users who are measured.

    Answers from the held-out click of `split` on; the head knows the clicks before it. Of one kind alone there is none.
    """
    clicks = model.histories.clicks
    users, before = clicks.targets(split)
    answer = answers(timelines, trained.config.answers)
    first = np.full(timelines.num_users, len(timelines.item))
    first[users] = clicks.event[before]
    user = timelines.user_of_event()
    event = np.flatnonzero(
        (answer != NO_ANSWER)
        & (np.arange(len(answer)) >= first[user])
        & clicks.may_be_asked(np.asarray(timelines.item))
    )
    label = answer[event] == SATISFIED
    figures = {"satisfaction/answers": float(len(event)), "satisfaction/dissatisfied": float((~label).sum())}
    if not (label.any() and (~label).any()):
        return figures
    row = np.searchsorted(users, user[event])
    asked, at = np.unique(row, return_inverse=True)
    logits = model(before[asked])["satisfaction"][at, clicks.code[np.asarray(timelines.item)[event]]]
    return figures | {
        "satisfaction/auc": auc(logits, label),
        "satisfaction/auc/imputed": auc(np.asarray(trained.scores.satisfaction)[event], label),
    }
