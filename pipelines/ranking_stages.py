"""The stages of ranking, to be hung into the graph: a ranker, the variants it is held up against, their measurement.

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
    if config.ranking_seeds < 1:
        raise UsageError(f"--config.ranking_seeds={config.ranking_seeds}: at least 1")
    trained = {
        variant: [_train(variant, config, workdir, timelines, seed=seed) for seed in range(config.ranking_seeds)]
        for variant in variants
    }
    ceiling = [_ceiling(workdir, timelines)] if config.world else []
    # LightGBM and the ceiling are rows of the test days: on the validation days LightGBM has found when to stop.
    validate = _measure("valid", "validate", trained, workdir, timelines, more=("--nolightgbm",))
    truth = [f"--truth={stage.folder / 'truth'}" for stage in ceiling]
    test = _measure("test", "test", trained, workdir, timelines, more=truth, after=ceiling)
    firsts = [of_variant[0] for of_variant in trained.values()]
    export = _export(FULL, firsts[0], validate, workdir, timelines)
    seeds = [stage for of_variant in trained.values() for stage in of_variant]
    return [*seeds, validate, export, *ceiling, test, *_aligned(firsts, config, workdir, timelines)]


def _measure(
    split: str,
    name: str,
    trained: Mapping[str, Sequence[Stage]],
    workdir: Path,
    timelines: Path,
    *,
    more: Sequence[str],
    after: Sequence[Stage] = (),
) -> Stage:
    # All variants, of all seeds, on one split.
    folder = workdir / FOLDER / name
    (_, first), *others = trained.items()
    compare = ",".join(f"{variant}={stage.folder}" for variant, row in others for stage in row)
    before = [stage for row in trained.values() for stage in row] + list(after)
    return Stage(
        name=f"{FOLDER}/{name}",
        module="ranking.evaluate",
        folder=folder,
        flags=(
            f"--data={timelines}",
            f"--checkpoint={','.join(str(stage.folder) for stage in first)}",
            *([f"--compare={compare}"] if compare else []),
            f"--split={split}",
            *more,
        ),
        inputs=(timelines / "manifest.json", *(stage.outputs[0] for stage in before)),
        outputs=tuple(folder / file for file in MEASURED),
    )


def _ceiling(workdir: Path, timelines: Path) -> Stage:
    folder, world = workdir / FOLDER / "ceiling", workdir / "world"
    return Stage(
        name=f"{FOLDER}/ceiling",
        module="simulation.ceiling",
        folder=folder,
        flags=(f"--world={world}", f"--data={timelines}"),
        # The manifest of the tables is the world stage's output, and vouches for the truth beside it.
        inputs=(world / "tables" / "manifest.json", timelines / "manifest.json"),
        outputs=(folder / "truth" / "manifest.json", folder / "metrics.json"),
    )


def _aligned(trained: list[Stage], config: ConfigDict, workdir: Path, timelines: Path) -> list[Stage]:
    # Apart from the others, whose measurement does not wait for the satisfaction model.
    if not has_aligned(config):
        return []
    train = _train(ALIGNED, config, workdir, timelines, seed=0)
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


def _train(variant: str, config: ConfigDict, workdir: Path, timelines: Path, *, seed: int) -> Stage:
    name = f"{variant}-seed{seed}" if seed else variant
    folder = workdir / FOLDER / "train" / name
    # Scores of the protocol `time` have not seen the days on which rankers are measured.
    scores = workdir / satisfaction_stages.FOLDER / "time" / "train" / "scores"
    if variant == ALIGNED and "time" not in satisfaction_stages.satisfaction_protocols(config):
        raise UsageError(
            f"--config.{'satisfaction_weight' if has_aligned(config) else 'ranking_variants'}: the ranker '{ALIGNED}' "
            "learns from the scores of --config.satisfaction_protocols 'time'"
        )
    return Stage(
        name=f"{FOLDER}/train/{name}",
        module="ranking.train",
        folder=folder,
        config=f"configs/ranking.py:{config.ranking},{variant}",
        flags=(
            *([f"--config.seed={seed}"] if seed else []),
            f"--data={timelines}",
            *([f"--satisfaction={scores}"] if variant == ALIGNED else []),
        ),
        inputs=(timelines / "manifest.json", *([scores / "manifest.json"] if variant == ALIGNED else [])),
        outputs=(folder / "metrics.json",),
    )
