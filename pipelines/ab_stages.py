"""The stages of the closed-loop A/B tests and of the off-policy check, to be hung into the graph.

    world, export/<arm>, serve -> ab_test
    world, serve, ranking/export, ranking/aligned/export -> ab_ranked
    [world], prepare, export/<control>, serve -> off_policy

A pipeline's config says which: `ab_test`, `ab_ranked` and `off_policy`, sizes in configs/ab_test.py and
configs/off_policy.py, "" or nothing for none. The A/B tests need a synthetic feed; the off-policy check a log with
random exposures. The arms are those of `ab_arms`, the control first; of a sweep it is the model that was chosen. Those
of `ab_ranked` differ in what stands behind the served retrieval: the ranker, the aligned ranker, nothing; there is no
such test where the pipeline has no aligned ranker.
"""

from pathlib import Path

from ml_collections import ConfigDict

from pipelines.ranking_stages import ALIGNED, FULL, exported_ranker, has_aligned
from pipelines.stage import Stage
from runtime.errors import UsageError

AB_TEST, AB_RANKED, OFF_POLICY = FOLDERS = ("ab_test", "ab_ranked", "off_policy")
RANKED_ARMS = {"ranked": FULL, "aligned": ALIGNED, "retrieval": ""}  # arm -> its ranker
COVERAGE_SEEDS = 50


def ab_stages(config: ConfigDict, workdir: Path, timelines: Path) -> list[Stage]:
    """The arms on the feed for days; the served model and the control on the log's random exposures.

    Errors: UsageError where `ab_arms` are fewer than two or one of them is not trained.
    """
    feed = workdir / "world" if config.world else None
    # The manifest of the tables is the world stage's output, and vouches for the truth beside it.
    world = (feed / "tables" / "manifest.json",) if feed else ()
    found = []
    if feed and config.get(AB_TEST, ""):
        _check(config)
        folders = _recommenders(config.ab_arms, config, workdir)
        found += [_export(arm, config, workdir, timelines) for arm in config.ab_arms if _chosen(arm, config)]
        found.append(_ab_test(AB_TEST, config, workdir, folders, more=(f"--aa_tests={config.aa_tests}",)))
    if feed and config.get(AB_RANKED, "") and has_aligned(config):
        folders = dict.fromkeys(RANKED_ARMS, workdir / "serve" / "recommender")
        rankers = {arm: exported_ranker(variant, workdir) for arm, variant in RANKED_ARMS.items() if variant}
        found.append(_ab_test(AB_RANKED, config, workdir, folders, rankers))
    if config.get("off_policy", ""):
        _check(config)
        folders = _recommenders((config.ab_arms[0], config.serve), config, workdir)
        known = (f"--world={feed}", f"--coverage_seeds={COVERAGE_SEEDS}") if feed else ()
        found.append(
            Stage(
                name="off_policy",
                module="simulation.off_policy",
                folder=workdir / "off_policy",
                config=f"configs/off_policy.py:{config.off_policy}",
                flags=(f"--data={timelines}", _flag("arms", folders), *known),
                inputs=(*world, timelines / "manifest.json", *_manifests(folders)),
                outputs=(workdir / "off_policy" / "metrics.json",),
            )
        )
    return found


def _ab_test(
    name: str,
    config: ConfigDict,
    workdir: Path,
    arms: dict[str, Path],
    rankers: dict[str, Path] | None = None,
    *,
    more: tuple[str, ...] = (),
) -> Stage:
    rankers = rankers or {}
    folder, feed = workdir / name, workdir / "world"
    return Stage(
        name=name,
        module="simulation.ab_test",
        folder=folder,
        config=f"configs/ab_test.py:{config[name]}",
        flags=(f"--world={feed}", _flag("arms", arms), *([_flag("rankers", rankers)] if rankers else []), *more),
        inputs=(feed / "tables" / "manifest.json", *_manifests(arms), *_manifests(rankers)),
        outputs=tuple(folder / file for file in ("metrics.json", "by_day.json", "long_run.json", "definitions.json")),
    )


def _check(config: ConfigDict) -> None:
    trained = (*config.plain, *config.sweeps)
    unknown = [signals for signals in config.ab_arms if signals not in trained]
    if unknown or len(set(config.ab_arms)) < max(2, len(config.ab_arms)) or config.ab_arms[0] not in config.plain:
        raise UsageError(
            f"--config.ab_arms={tuple(config.ab_arms)}: give two or more of {', '.join(trained)}, which "
            f"'{config.name}' trains, the first of them one of {', '.join(config.plain)}"
        )


def _recommenders(arms: tuple[str, ...], config: ConfigDict, workdir: Path) -> dict[str, Path]:
    def folder(signals: str) -> Path:
        if signals == config.serve:
            return workdir / "serve"
        return workdir / "export" / (f"{signals}-final" if config.final else signals)

    return {signals: folder(signals) / "recommender" for signals in arms}


def _chosen(signals: str, config: ConfigDict) -> bool:
    # Which weight of a sweep that will be is known when the pipeline runs; of the served model `serve` exports it.
    return signals in config.sweeps and signals != config.serve and not config.final


def _export(signals: str, config: ConfigDict, workdir: Path, timelines: Path) -> Stage:
    folder, chosen = workdir / "export" / signals, workdir / "selected" / signals
    return Stage(
        name=f"export/{signals}",
        module="retrieval.export",
        folder=folder,
        config=f"configs/retrieval.py:{config.retrieval},{signals}",
        flags=(f"--data={timelines}", f"--checkpoint={chosen}", "--noserving"),
        inputs=(timelines / "manifest.json", workdir / "selected" / "metrics.json", chosen / "metrics.json"),
        outputs=(folder / "metrics.json", folder / "recommender" / "manifest.json"),
    )


def _flag(name: str, folders: dict[str, Path]) -> str:
    return f"--{name}=" + ",".join(f"{arm}={folder}" for arm, folder in folders.items())


def _manifests(folders: dict[str, Path]) -> tuple[Path, ...]:
    return tuple(dict.fromkeys(folder / "manifest.json" for folder in folders.values()))
