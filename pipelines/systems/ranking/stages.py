"""The stages of ranking: a ranker, the variants it is held up against, their measurement.

    prepare -> ranking/train/<variant>[-seed<n>] -> ranking/validate, ranking/test
                                                    ranking/validate -> ranking/export
    world, prepare -> ranking/ceiling -> ranking/test
    satisfaction/time/train -> ranking/train/satisfaction -> ranking/aligned/validate -> ranking/aligned/export

A ranker is exported with the γ and the calibration that the validation days gave. That of the aligned one, which learns
from satisfaction scores too, counts satisfaction beside long views and skips. Every row of the test days is of
`ranking_seeds` trainings; what is exported is the first. A synthetic feed's own probabilities are a row there.

A pipeline's config says which: `ranking`, the dataset's name in configs/ranking.py, "" for none, `ranking_variants`
beside `full`, `ranking_seeds`, and `satisfaction_weight`, what satisfaction counts in the γ of the aligned ranker, 0
for no such ranker.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from pipelines.graph.stage import Stage
from pipelines.systems.feed.stages import FEED, LOG, TIMELINES, WORLD
from pipelines.systems.satisfaction.stages import SCORES, satisfaction_protocols
from runtime.errors import UsageError

FOLDER = "ranking"
_AIM = "the order of what is shown"
FULL, ALIGNED = "full", "satisfaction"  # the variants that are exported
ALIGNED_FOLDER = "aligned"
EXPORTS = {FULL: "export", ALIGNED: f"{ALIGNED_FOLDER}/export"}  # where in FOLDER
MEASURED = ("metrics.json", "per_user.npz", "reliability.json", "curves.json")  # by ranking.evaluate


def ranking_variants(config: ConfigDict) -> tuple[str, ...]:
    """The rankers that a pipeline trains, the one to be shown first; none where it has no ranking."""
    return (FULL, *config.ranking_variants) if config.ranking else ()


def has_aligned(config: ConfigDict) -> bool:
    """Whether a pipeline has the aligned ranker: with a ranking, a satisfaction model, and a weight of satisfaction."""
    return bool(config.ranking and config.satisfaction and config.satisfaction_weight)


def exported_ranker(variant: str) -> Path:
    """The folder of the exported ranker, FULL or ALIGNED."""
    return Path(FOLDER) / EXPORTS[variant] / "ranker"


def stages(config: ConfigDict) -> list[Stage]:
    """Training of each variant, all of them measured on the validation and on the test days, and the first exported;
    then the aligned ranker.

    Errors: UsageError where an aligned ranker is asked for without the scores that it learns from.
    """
    if not config.ranking:
        return []
    trained = {
        variant: [_train(variant, config, seed) for seed in range(config.ranking_seeds)]
        for variant in ranking_variants(config)
    }
    truth = Stage(
        name=f"{FOLDER}/ceiling",
        module="simulation.ceiling",
        flags={"world": WORLD, "data": TIMELINES},
        inputs=(FEED, LOG),
        writes=("truth/manifest.json", "metrics.json"),
        aim=_AIM,
    )
    ceiling = [truth] if config.world else []
    # LightGBM and the ceiling are rows of the test days: on the validation days LightGBM has found when to stop.
    more = {"truth": truth.folder / "truth" if ceiling else None, "lightgbm": None if config.lightgbm else False}
    validate = _measure("validate", "valid", trained, more={"lightgbm": False})
    test = _measure("test", "test", trained, more=more, after=ceiling)
    seeds = [stage for row in trained.values() for stage in row]
    export = _export(FULL, trained[FULL][0], validate)
    return [*seeds, validate, export, *ceiling, test, *_aligned(trained, config)]


def _train(variant: str, config: ConfigDict, seed: int) -> Stage:
    aligned = variant == ALIGNED
    if aligned and "time" not in satisfaction_protocols(config):
        raise UsageError(
            f"--config.{'satisfaction_weight' if has_aligned(config) else 'ranking_variants'}: the ranker '{ALIGNED}' "
            "learns from the scores of --config.satisfaction_protocols 'time'"
        )
    return Stage(
        name=f"{FOLDER}/train/{variant}" + (f"-seed{seed}" if seed else ""),
        module="ranking.train",
        config=f"configs/ranking.py:{config.ranking},{variant}",
        flags={"config.seed": seed or None, "data": TIMELINES, "satisfaction": SCORES if aligned else None},
        inputs=(LOG, *([SCORES / "manifest.json"] if aligned else [])),
        aim=_AIM,
        effort=1.5,
    )


def _measure(
    name: str,
    split: str,
    trained: Mapping[str, Sequence[Stage]],
    *,
    more: Mapping[str, Any],
    after: Sequence[Stage] = (),
) -> Stage:
    # All variants, of all seeds, on one split; the first row's are the ranker.
    (_, first), *others = trained.items()
    read = [file for row in trained.values() for stage in row for file in (*stage.inputs, *stage.outputs)]
    read += [stage.outputs[0] for stage in after]
    return Stage(
        name=f"{FOLDER}/{name}",
        module="ranking.evaluate",
        flags={
            "data": TIMELINES,
            "checkpoint": tuple(stage.folder for stage in first),
            "compare": tuple((variant, stage.folder) for variant, row in others for stage in row) or None,
            "split": split,
            **more,
        },
        inputs=tuple(dict.fromkeys(read)),
        writes=MEASURED,
        aim=_AIM,
        effort=0.7,
    )


def _export(variant: str, train: Stage, validate: Stage) -> Stage:
    return Stage(
        name=f"{FOLDER}/{EXPORTS[variant]}",
        module="ranking.export",
        flags={"data": TIMELINES, "checkpoint": train.folder, "evaluation": validate.folder},
        inputs=(*train.inputs, *train.outputs, *validate.outputs),
        writes=("metrics.json", "ranker/manifest.json"),
        aim=_AIM,
        effort=0.5,
    )


def _aligned(trained: Mapping[str, Sequence[Stage]], config: ConfigDict) -> list[Stage]:
    # Apart from the others, whose measurement does not wait for the satisfaction model.
    if not has_aligned(config):
        return []
    train = _train(ALIGNED, config, 0)
    more = {"satisfaction_weight": config.satisfaction_weight, "lightgbm": False}
    validate = _measure(f"{ALIGNED_FOLDER}/validate", "valid", {ALIGNED: [train]}, more=more)
    return [*([] if ALIGNED in trained else [train]), validate, _export(ALIGNED, train, validate)]
