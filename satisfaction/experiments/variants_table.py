"""The main model beside its variants, over seeds and click losses: the work of `python -m satisfaction.ablate`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from runtime.artifact import write_json
from runtime.errors import UsageError
from runtime.workdir import METRICS
from satisfaction.experiments.summary import Users, by_user, row_figures, table
from satisfaction.experiments.trials import Measured, Trials
from satisfaction.experiments.variants import FULL, NAIVE
from satisfaction.saqrec.alignment import BASE, GRU, MODELS, SAQREC
from satisfaction.saqrec.batch_loss import CLICK_LOSSES

PARTIAL = "metrics.partial.json"
SHOWN = ("hr@1", "hr@5", "hr@10", "ndcg@5", "ndcg@10", "mrr")
VALID = "valid/mrr"


def run(
    *,
    data: str,
    run: str,
    workdir: str,
    variants: Mapping[str, Mapping[str, Any]],
    click_losses: Sequence[str],
    seeds: int,
    refit: bool,
) -> None:
    """Trains what is missing, measures, and writes metrics.json in the end, what there is of it after each row.

    A variant whose settings are the run's own is the full model, and is not trained again.

    Args:
      variants: as `variants_of` gives them. seeds: 0 to seeds − 1 are trained of each.
    """
    for loss in click_losses:
        if loss not in CLICK_LOSSES:
            raise UsageError(f"--click_losses={loss}: of {', '.join(CLICK_LOSSES)}")
    trials = Trials(data, run=run, refit=refit, workdir=workdir)
    beside, folder = trials.baselines(), trials.folder
    differing = {name: settings for name, settings in variants.items() if not is_full(name, settings, trials.config)}
    total, done = len(click_losses) * (1 + len(differing)) * seeds, 0
    metrics: dict[str, float] = {**trials.held_out.sizes, "seeds": seeds, "refit": refit}
    for loss in click_losses:
        measured: dict[str, list[Measured]] = {}
        full: Users = {}
        for name, settings in {FULL: {}, **variants}.items():
            if name != FULL and name not in differing:
                rows = {name: measured[FULL]}
            else:
                of_seeds = []
                for seed in range(seeds):
                    done += 1
                    print(f"[{done}/{total}] {loss}/{name}, seed {seed}", flush=True)
                    options = {**settings, "click_loss": loss}
                    of_seeds.append(
                        trials.measure(
                            f"{loss}/{name}",
                            options,
                            seed=seed,
                            naive=name == NAIVE,
                            models=MODELS if name == FULL else (SAQREC,),
                        )
                    )
                rows = {name: [each[SAQREC] for each in of_seeds]}
                if name == FULL:
                    rows |= {model: [each[model] for each in of_seeds] for model in (BASE, GRU)}
                    rows |= {label: [one] for label, one in beside.items()}
            for label, each in rows.items():
                users, figures = row(label, each, full)
                full, measured[label] = full or users, each
                metrics |= {f"{loss}/{key}": value for key, value in figures.items()}
            write_json(folder / PARTIAL, metrics)
        shown = {name: f"{loss}/{name}/" for name in (FULL, *variants, BASE, GRU, *beside)}
        columns, gain_over = (*SHOWN, VALID), f"{loss}/gain_over/"
        print(f"\n{table(metrics, shown, columns, title=loss, gains=('mrr',), gain_over=gain_over)}\n", flush=True)
    write_json(folder / METRICS, metrics)
    (folder / PARTIAL).unlink()
    print(f"{metrics['users']:,} users, {metrics['items']:,} items, {seeds} seed(s): {folder / METRICS}")


def row(name: str, of_seeds: Sequence[Measured], full: Users) -> tuple[Users, dict[str, float]]:
    """Of one row over seeds: each metric of each user, and its figures, named as in metrics.json.

    `full` is the full model's, to pair with; empty, and no gain, where this row is the full model's.
    """
    users = {m: values for m, values in by_user([measured.ranks for measured in of_seeds]).items() if m in SHOWN}
    figures = row_figures(name, users, full or None)
    valid = [measured.valid for measured in of_seeds if measured.valid is not None]
    if valid:
        figures[f"{name}/{VALID}"] = float(np.mean(valid))
    return users, figures


def is_full(variant: str, settings: Mapping[str, Any], config: ConfigDict) -> bool:
    """True where the variant is what a run of `config` is anyway."""
    if variant == NAIVE:
        return config.satisfaction.estimator == "naive"
    return all(config.align[name] == value for name, value in settings.items())
