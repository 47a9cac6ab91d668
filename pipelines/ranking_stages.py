"""The stages of ranking, to be hung into the graph: a ranker, the variants it is held up against, their measurement.

    prepare -> ranking/train/<variant> -> ranking/validate, ranking/test
                                          ranking/validate -> ranking/export
    satisfaction/time/train -> ranking/train/satisfaction

The ranker is exported with the γ and the calibration that the validation days gave.

A pipeline's config says which: `ranking`, the dataset's name in configs/ranking.py, "" for none, and
`ranking_variants` beside `full`.
"""

from pathlib import Path

from ml_collections import ConfigDict

from pipelines import satisfaction_stages
from pipelines.stage import Stage
from runtime.errors import UsageError

FOLDER = "ranking"
FULL, ALIGNED = "full", "satisfaction"


def ranking_variants(config: ConfigDict) -> tuple[str, ...]:
    """The rankers that a pipeline trains, the one to be shown first; none where it has no ranking."""
    if not config.ranking:
        return ()
    return (FULL, *config.ranking_variants)


def ranking_stages(config: ConfigDict, workdir: Path, timelines: Path) -> list[Stage]:
    """Training of each variant, all of them measured on the validation and on the test days, and the first exported."""
    variants = ranking_variants(config)
    if not variants:
        return []
    data = (f"--data={timelines}",)
    train = [_train(variant, config, workdir, timelines) for variant in variants]
    compare = ",".join(f"{variant}={stage.folder}" for variant, stage in zip(variants[1:], train[1:], strict=True))
    # LightGBM is a row of the test days: on the validation days it has found when to stop.
    validate, test = (
        Stage(
            name=f"{FOLDER}/{name}",
            module="ranking.evaluate",
            folder=workdir / FOLDER / name,
            flags=(
                *data,
                f"--checkpoint={train[0].folder}",
                *([f"--compare={compare}"] if compare else []),
                f"--split={split}",
                *more,
            ),
            inputs=(timelines / "manifest.json", *(stage.outputs[0] for stage in train)),
            outputs=tuple(
                workdir / FOLDER / name / file
                for file in ("metrics.json", "per_user.npz", "reliability.json", "curves.json")
            ),
        )
        for name, split, more in (("validate", "valid", ["--nolightgbm"]), ("test", "test", []))
    )
    folder = workdir / FOLDER / "export"
    export = Stage(
        name=f"{FOLDER}/export",
        module="ranking.export",
        folder=folder,
        flags=(*data, f"--checkpoint={train[0].folder}", f"--evaluation={validate.folder}"),
        inputs=(timelines / "manifest.json", *train[0].outputs, *validate.outputs),
        outputs=(folder / "metrics.json", folder / "ranker" / "manifest.json"),
    )
    return [*train, validate, export, test]


def _train(variant: str, config: ConfigDict, workdir: Path, timelines: Path) -> Stage:
    folder = workdir / FOLDER / "train" / variant
    # Scores of the protocol `time` have not seen the days on which rankers are measured.
    scores = workdir / satisfaction_stages.FOLDER / "time" / "train" / "scores"
    if variant == ALIGNED and "time" not in satisfaction_stages.satisfaction_protocols(config):
        raise UsageError(
            f"--config.ranking_variants: '{ALIGNED}' learns from the scores of --config.satisfaction_protocols 'time'"
        )
    return Stage(
        name=f"{FOLDER}/train/{variant}",
        module="ranking.train",
        folder=folder,
        config=f"configs/ranking.py:{config.ranking},{variant}",
        flags=(f"--data={timelines}", *([f"--satisfaction={scores}"] if variant == ALIGNED else [])),
        inputs=(timelines / "manifest.json", *([scores / "manifest.json"] if variant == ALIGNED else [])),
        outputs=(folder / "metrics.json",),
    )
