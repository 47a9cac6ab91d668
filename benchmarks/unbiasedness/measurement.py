"""The bias of each estimator of satisfaction on one synthetic feed, and what many feeds say together.

Work of `python -m benchmarks.unbiasedness`.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure
from ml_collections import ConfigDict

from data import assembly
from data.raw.tables import Tables
from data.timelines import Timelines
from metrics import binary, intervals
from satisfaction.saqrec import base
from satisfaction.unbiased import propensity, satisfaction_model
from satisfaction.unbiased.answers import answers
from satisfaction.unbiased.estimators import ESTIMATORS, terms
from satisfaction.unbiased.features import make_features
from simulation.world.feed import simulate
from simulation.world.tables import tables, truth

CLIPS = (0.0, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032)
TRAINED = (
    ("naive", "estimated"),  # which reads none
    ("ips", "true"),
    ("ips", "estimated"),
    ("dr", "estimated"),
)


def feed_of(config: ConfigDict, folder: Path) -> tuple[Timelines, dict[str, np.ndarray]]:
    """Timelines of the feed of `config`, and its truth, row for row: propensity, probability, satisfied."""
    feed = simulate(config)
    log, known = tables(feed), truth(feed, config)["impressions"]
    made = assembly.assemble(Tables(log["events"], log["items"], log["users"], None, len(log["events"])))
    made.write(folder)
    opened = Timelines.open(folder)
    known = known.sort("user_id", "timestamp_ms", maintain_order=True)  # as timelines lie
    same = opened.items["item_id"].gather(pl.Series(opened.item)).to_numpy() == known["item_id"].to_numpy()
    assert same.all(), "truth and timelines are not in the same order"
    return opened, {
        "propensity": (known["shown_propensity"] * known["answered_propensity"]).to_numpy(),
        "probability": known["satisfaction_probability"].to_numpy(),
        "satisfied": known["satisfied"].cast(pl.Int8).to_numpy(),
    }


def measure(world: ConfigDict, settings: ConfigDict, folder: Path) -> dict[str, float]:
    """All figures of one seed: `truth`, estimates with their bounds, AUCs, clipping's."""
    timelines, known = feed_of(world, folder / "timelines")
    given = answers(timelines, settings.answers)
    trained = np.ones(len(given), bool)  # all impressions: the truth is held out, not a day
    embeddings, _ = base.train(settings, timelines, folder / "base")
    features, asking = (
        make_features(
            embeddings,
            timelines,
            answers=given,
            trained=trained,
            seed=settings.seed,
            answer_rates=settings.satisfaction.answer_rates,
            asking_rates=rates,
        )
        for rates in (False, settings.propensity.asking_rates)
    )
    common: dict[str, Any] = {"answers": given, "trained": trained, "fingerprint": {}}
    model, _ = propensity.train(settings, timelines, asking, folder=folder / "propensity", **common)
    everything = np.arange(len(timelines.item))
    estimated = model.events(asking, everything)
    user = timelines.user_of_event()
    found: dict[str, float] = {
        "truth": float(known["probability"].mean()),
        "answered": float((given >= 0).mean()),
        "propensity/auc": binary.auc(estimated, (given >= 0).astype(int)),
        "propensity/auc_of_truth": binary.auc(known["propensity"], (given >= 0).astype(int)),
        "propensity/correlation": float(np.corrcoef(np.log(estimated), np.log(known["propensity"]))[0, 1]),
    }
    propensities = {"true": known["propensity"], "estimated": estimated}
    imputed = {}
    for name, kind in TRAINED:
        options = ConfigDict(settings.to_dict())
        options.satisfaction.estimator = name
        target = folder / "satisfaction" / f"{name}_{kind}"
        fitted, _ = satisfaction_model.train(
            options, timelines, features, propensity=propensities[kind], folder=target, **common
        )
        imputed[name] = 1 / (1 + np.exp(-fitted.events(features, everything)))
        found[f"auc/{name}/{kind}"] = binary.auc(imputed[name], known["satisfied"])
        found[f"imputed_mean/{name}/{kind}"] = float(imputed[name].mean())
    for kind, propensity_of in propensities.items():
        for name, estimator in ESTIMATORS.items():
            pair = terms(estimator, given, propensity_of, clip=0.0, imputed=imputed["naive"])
            sums = [np.bincount(user, column, timelines.num_users) for column in pair]
            found |= intervals.flat({f"{name}/{kind}": intervals.ratio(*sums)})
    for limit in CLIPS:
        for name in ("ips", "snips"):
            top, bottom = terms(ESTIMATORS[name], given, known["propensity"], clip=limit)
            found[f"clip_{limit:g}/{name}"] = float(top.sum() / bottom.sum())
    return found


def summarise(seeds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Over the seeds: each estimate's bias (mean error), its share of the naive one's, AUC wins, clipping."""
    truth = np.array([seed["truth"] for seed in seeds])

    def errors(name: str) -> np.ndarray:
        return np.array([seed[name] for seed in seeds]) - truth

    naive = errors("naive/true")
    figures = {
        "truth": float(truth.mean()),
        "answered": float(np.mean([seed["answered"] for seed in seeds])),
        "naive/bias": float(naive.mean()),
        "naive/outside_interval": float(
            sum(not seed["naive/true/low"] <= seed["truth"] <= seed["naive/true/high"] for seed in seeds)
        ),
    }
    for kind in ("true", "estimated"):
        for name in ("ips", "snips", "dr"):
            error = errors(f"{name}/{kind}")
            figures[f"{name}/{kind}/bias"] = float(error.mean())
            figures[f"{name}/{kind}/of_naive"] = float(abs(error.mean()) / abs(naive.mean()))
            figures[f"{name}/{kind}/mean_absolute_error"] = float(np.abs(error).mean())
    plain = np.array([seed["auc/naive/estimated"] for seed in seeds])
    for name, kind in TRAINED:
        areas = np.array([seed[f"auc/{name}/{kind}"] for seed in seeds])
        figures[f"auc/{name}/{kind}"] = float(areas.mean())
        figures[f"auc/{name}/{kind}/wins"] = float((areas > plain).sum())
        figures[f"auc/{name}/{kind}/gain"] = float((areas - plain).mean())
    for limit in CLIPS:
        for name in ("ips", "snips"):
            error = errors(f"clip_{limit:g}/{name}")
            figures[f"clip_{limit:g}/{name}/bias"] = float(error.mean())
            figures[f"clip_{limit:g}/{name}/deviation"] = float(error.std(ddof=1))
    return figures


def plot(figures: Mapping[str, float], path: Path) -> None:
    """Bias and standard deviation over the seeds, by the clip M."""
    figure = Figure(figsize=(8, 3), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    places = range(len(CLIPS))
    for axis, name in zip(axes, ("ips", "snips"), strict=True):
        for what in ("bias", "deviation"):
            axis.plot(places, [figures[f"clip_{limit:g}/{name}/{what}"] for limit in CLIPS], marker="o", label=what)
        axis.axhline(figures["naive/bias"], color="gray", linestyle=":", label="bias of the naive estimate")
        axis.axhline(0.0, color="black", linewidth=0.5)
        axis.set_xticks(places, [f"{limit:g}" for limit in CLIPS])
        axis.set(title=name.upper(), xlabel="clip M, with true propensities")
    axes[0].set_ylabel("error of the mean satisfaction")
    axes[1].legend(frameon=False)
    figure.savefig(path)


def table(figures: Mapping[str, float], seeds: int) -> str:
    """The figures, for people."""
    outside = figures["naive/outside_interval"]
    lines = [
        f"{seeds} feeds, mean satisfaction {figures['truth']:.4f}, {figures['answered']:.2%} of impressions answered",
        f"naive: bias {figures['naive/bias']:+.4f}, truth outside its interval in {outside:.0f}",
    ]
    for kind in ("true", "estimated"):
        for name in ("ips", "snips", "dr"):
            key = f"{name}/{kind}"
            lines.append(
                f"{name:<6}{kind:<10} bias {figures[f'{key}/bias']:+.4f}, {figures[f'{key}/of_naive']:.2f} of naive's; "
                f"mean absolute error {figures[f'{key}/mean_absolute_error']:.4f}"
            )
    for name, kind in TRAINED:
        key = f"auc/{name}/{kind}"
        lines.append(
            f"AUC {name:<6}{kind:<10} {figures[key]:.4f}, {figures[f'{key}/gain']:+.4f} against naive, "
            f"higher in {figures[f'{key}/wins']:.0f}"
        )
    for limit in CLIPS:
        parts = [
            f"{name} bias {figures[f'clip_{limit:g}/{name}/bias']:+.4f} deviation "
            f"{figures[f'clip_{limit:g}/{name}/deviation']:.4f}"
            for name in ("ips", "snips")
        ]
        lines.append(f"M = {limit:<6g} {', '.join(parts)}")
    return "\n".join(lines)
