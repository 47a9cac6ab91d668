"""Like against dislike: the satisfaction model beside simpler models of the same information.

  python -m benchmarks.explicit_feedback --data=TIMELINES --workdir=runs/explicit

TIMELINES are of any log with likes and dislikes, of which nothing else is read. The last like and the last dislike of
each user who gave both are the test; of what is left the last of each, set aside once more, choose each model's
settings. All models but popularity read the same numbers (satisfaction/unbiased/features.py): cosine and product of the
frozen embeddings, and rates of the training rows. Figures: AUC over all test rows, and per user, the share of users
whose like is put above the dislike; bounds are those of a bootstrap over users.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ml_collections import ConfigDict

from runtime import app
from runtime.config import define_config
from runtime.paths import define_path

if TYPE_CHECKING:
    import numpy as np

    from benchmarks.explicit_feedback.log import Task

_CONFIG = define_config("configs/satisfaction.py:movielens_100k", "Base recommender and satisfaction model.")
_DATA = define_path("data", None, "Folder of timelines, written by data.prepare.", required=True)
_WORKDIR = define_path("workdir", None, "The folder where results go.", required=True)


def satisfaction_model(task: "Task", settings: Mapping[str, float], config: ConfigDict, folder: Path) -> "np.ndarray":
    """Scores of what is held out, by the stage's own model."""
    import numpy as np

    from satisfaction.unbiased import satisfaction_model as step

    options = ConfigDict(config.to_dict())
    options.satisfaction.update({**settings, "estimator": "naive"})  # everything has an answer: nothing is weighed
    fitted, _ = step.train(
        options,
        task.timelines,
        task.features,
        answers=task.likes,
        propensity=np.ones(len(task.likes)),
        trained=task.trained,
        folder=folder,
        fingerprint={},
    )
    return fitted.events(task.features, task.held_out)


def logistic_regression(task: "Task", settings: Mapping[str, float]) -> "np.ndarray":
    """σ(w · x + b) with an L2 penalty on standardised x, by Newton's method."""
    import numpy as np

    positions = np.flatnonzero(task.trained)
    x, y, target = task.rows(positions), task.likes[positions], task.rows(task.held_out)
    mean, scale = x.mean(axis=0), x.std(axis=0) + 1e-9
    x, target = (np.column_stack([np.ones(len(part)), (part - mean) / scale]) for part in (x, target))
    penalty = settings["l2"] * np.eye(x.shape[1])
    weights = np.zeros(x.shape[1])
    for _ in range(30):
        p = 1 / (1 + np.exp(-x @ weights))
        hessian = (x * (p * (1 - p))[:, None]).T @ x + penalty
        weights += np.linalg.solve(hessian, x.T @ (y - p) - penalty @ weights)
    return target @ weights


def gradient_boosting(task: "Task", settings: Mapping[str, float]) -> "np.ndarray":
    """LightGBM on the same rows."""
    import lightgbm
    import numpy as np

    positions = np.flatnonzero(task.trained)
    options = {"objective": "binary", "verbose": -1, "num_threads": 1, "seed": 0, "min_data_in_leaf": 50}
    rounds = int(settings["rounds"])
    options |= {"num_leaves": int(settings["leaves"]), "learning_rate": settings["learning_rate"]}
    data = lightgbm.Dataset(task.rows(positions), task.likes[positions])
    return np.asarray(lightgbm.train(options, data, rounds).predict(task.rows(task.held_out)))


def popularity(task: "Task") -> "np.ndarray":
    """The item's share of likes, drawn towards the mean with the weight of two rows."""
    from data.rates import smoothed_by_group

    item, likes = task.timelines.item, task.likes[task.trained]
    options = {"num_groups": task.timelines.num_items + 1, "prior_rate": likes.mean(), "prior_count": 2}
    return smoothed_by_group(item[task.trained], likes, **options)[item[task.held_out]]


def figures_of(task: "Task", scores: "np.ndarray") -> dict[str, float]:
    """`auc` and `per_user_auc` with bounds."""
    import numpy as np

    from metrics import binary, intervals

    users = task.timelines.user_of_event()[task.held_out]
    labels = task.likes[task.held_out]
    index = np.unique(users, return_inverse=True)[1]
    num_users = int(index.max()) + 1
    per_user = binary.auc_of_groups(scores, labels, index, num_groups=num_users)
    found = intervals.flat({"per_user_auc": intervals.mean(per_user)})
    of_weights = binary.weighted_auc(scores, labels, index, num_groups=num_users)
    drawn = np.random.default_rng(0).multinomial(num_users, np.full(num_users, 1 / num_users), size=1000)
    low, high = np.quantile(of_weights(drawn), [0.025, 0.975])
    return {**found, "auc": binary.auc(scores, labels), "auc/low": float(low), "auc/high": float(high)}


def grid(**values: Sequence[float]) -> list[dict[str, float]]:
    """All combinations of settings."""
    return [dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())]


def main(argv: Sequence[str]) -> None:
    """Chooses settings on the inner split, measures on the test."""
    del argv
    # Imported here: --help must not wait for jax.
    import shutil

    from benchmarks.explicit_feedback.log import likes_and_dislikes, task_of
    from data.timelines import Timelines
    from metrics import binary
    from runtime.artifact import write_json
    from runtime.workdir import METRICS, begin
    from training.compilation import enable_compilation_cache, set_cpu_devices

    set_cpu_devices(1)
    enable_compilation_cache()
    config = _CONFIG.value
    timelines = Timelines.open(_DATA.value)
    log = likes_and_dislikes(timelines)
    folder, complete = begin(_WORKDIR.value, {"config": config.to_dict(), "data": timelines.fingerprint})
    if complete:
        return
    scratch = folder / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    inner = task_of(log, config, scratch / "inner", split="valid")
    test = task_of(log, config, scratch / "test", split="test")

    def ours(task: "Task", settings: Mapping[str, float]) -> "np.ndarray":
        name = "_".join(f"{value:g}" for value in settings.values())
        return satisfaction_model(task, settings, config, scratch / ("inner" if task is inner else "test") / name)

    models: dict[str, tuple[Callable[[Task, Mapping[str, float]], np.ndarray], list[dict[str, float]]]] = {
        "satisfaction": (ours, grid(hidden=[16, 64], dropout=[0.0, 0.3])),
        "logistic_regression": (logistic_regression, grid(l2=[0.1, 1.0, 10.0, 100.0])),
        "lightgbm": (
            gradient_boosting,
            grid(leaves=[4, 8, 16], learning_rate=[0.03, 0.1], rounds=[50, 100, 200]),
        ),
    }
    metrics: dict[str, float] = {"users": float(len(test.held_out) / 2), "inner_users": float(len(inner.held_out) / 2)}
    rows = {"popularity": figures_of(test, popularity(test))}
    for name, (model, settings) in models.items():
        areas = [binary.auc(model(inner, chosen), inner.likes[inner.held_out]) for chosen in settings]
        best = settings[areas.index(max(areas))]
        print(f"{name}: {best}, AUC {max(areas):.4f} on the inner split")
        rows[name] = figures_of(test, model(test, best))
    for name, found in rows.items():
        metrics |= {f"{name}/{metric}": value for metric, value in found.items()}
        cells = [
            f"{found[m]:.3f} ({found[f'{m}/low']:.3f} to {found[f'{m}/high']:.3f})" for m in ("auc", "per_user_auc")
        ]
        print(f"{name:<22}AUC {cells[0]}   per user {cells[1]}")
    shutil.rmtree(scratch)
    write_json(folder / METRICS, metrics)
    print(f"likes against dislikes of {metrics['users']:.0f} users: {folder / METRICS}")


if __name__ == "__main__":
    app.run(main)
