"""The stages of ranking, to be hung into the graph: a ranker, the variants it is held up against, their measurement.

    prepare -> ranking/train/<variant> -> ranking/validate, ranking/test
                                          ranking/validate -> ranking/export
    satisfaction/time/train -> ranking/train/satisfaction -> ranking/aligned/validate -> ranking/aligned/export

A ranker is exported with the γ and the calibration that the validation days gave. That of the aligned one, which learns
from satisfaction scores too, counts satisfaction beside long views and skips.

A pipeline's config says which: `ranking`, the dataset's name in configs/ranking.py, "" for none, `ranking_variants`
beside `full`, and `satisfaction_weight`, what satisfaction counts in the γ of the aligned ranker, 0 for no such ranker.
"""

from pathlib import Path

from ml_collections import ConfigDict

from pipelines import satisfaction_stages
from pipelines.stage import Stage
from runtime.errors import UsageError

FOLDER = "ranking"
FULL, ALIGNED = "full", "satisfaction"  # the variants that are exported
ALIGNED_FOLDER = "aligned"
EXPORTS = {FULL: "export", ALIGNED: f"{ALIGNED_FOLDER}/export"}  # where in FOLDER
MEASURED = ("metrics.json", "per_user.npz", "reliability.json", "curves.json")  # by ranking.evaluate


def ranking_variants(config: ConfigDict) -> tuple[str, ...]:
    """The rankers that a pipeline trains, the one to be shown first; none where it has no ranking."""
    if not config.ranking:
        return ()
    return (FULL, *config.ranking_variants)


def has_aligned(config: ConfigDict) -> bool:
    """Whether a pipeline has the aligned ranker: with a ranking, a satisfaction model, and a weight of satisfaction."""
    return bool(config.ranking and config.satisfaction and config.satisfaction_weight)


def exported_ranker(variant: str, workdir: Path) -> Path:
    """The folder of the exported ranker, FULL or ALIGNED."""
    return workdir / FOLDER / EXPORTS[variant] / "ranker"


def ranking_stages(config: ConfigDict, workdir: Path, timelines: Path) -> list[Stage]:
    """Training of each variant, all of them measured on the validation and on the test days, and the first exported;
    then the aligned ranker.

    Errors: UsageError where an aligned ranker is asked for without the scores that it learns from.
    """
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
            outputs=tuple(workdir / FOLDER / name / file for file in MEASURED),
        )
        for name, split, more in (("validate", "valid", ["--nolightgbm"]), ("test", "test", []))
    )
    export = _export(FULL, train[0], validate, workdir, timelines)
    return [*train, validate, export, test, *_aligned(train, config, workdir, timelines)]


def _aligned(trained: list[Stage], config: ConfigDict, workdir: Path, timelines: Path) -> list[Stage]:
    # Apart from the others, whose measurement does not wait for the satisfaction model.
    if not has_aligned(config):
        return []
    train = _train(ALIGNED, config, workdir, timelines)
    folder = workdir / FOLDER / ALIGNED_FOLDER / "validate"
    validate = Stage(
        name=f"{FOLDER}/{ALIGNED_FOLDER}/validate",
        module="ranking.evaluate",
        folder=folder,
        flags=(
            f"--data={timelines}",
            f"--checkpoint={train.folder}",
            "--split=valid",
            f"--satisfaction_weight={config.satisfaction_weight:g}",
            "--nolightgbm",
        ),
        inputs=(*train.inputs, *train.outputs),
        outputs=tuple(folder / file for file in MEASURED),
    )
    export = _export(ALIGNED, train, validate, workdir, timelines)
    return [*([] if train in trained else [train]), validate, export]


def _export(variant: str, train: Stage, validate: Stage, workdir: Path, timelines: Path) -> Stage:
    ranker = exported_ranker(variant, workdir)
    return Stage(
        name=f"{FOLDER}/{EXPORTS[variant]}",
        module="ranking.export",
        folder=ranker.parent,
        flags=(f"--data={timelines}", f"--checkpoint={train.folder}", f"--evaluation={validate.folder}"),
        inputs=(*train.inputs, *train.outputs, *validate.outputs),
        outputs=(ranker.parent / "metrics.json", ranker / "manifest.json"),
    )


def _train(variant: str, config: ConfigDict, workdir: Path, timelines: Path) -> Stage:
    folder = workdir / FOLDER / "train" / variant
    # Scores of the protocol `time` have not seen the days on which rankers are measured.
    scores = workdir / satisfaction_stages.FOLDER / "time" / "train" / "scores"
    if variant == ALIGNED and "time" not in satisfaction_stages.satisfaction_protocols(config):
        raise UsageError(
            f"--config.{'satisfaction_weight' if has_aligned(config) else 'ranking_variants'}: the ranker '{ALIGNED}' "
            "learns from the scores of --config.satisfaction_protocols 'time'"
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
