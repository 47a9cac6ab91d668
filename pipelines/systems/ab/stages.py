"""The stages of the closed-loop A/B tests and of the off-policy check.

    world, [select], export/<arm> -> ab_test
    world, serve, ranking/export, ranking/aligned/export -> ab_ranked
    [world], prepare, [select], export/<control>, export/<served> -> off_policy

A pipeline's config says which: `ab_test`, `ab_ranked` and `off_policy`, sizes in configs/ab_test.py and
configs/off_policy.py, "" or nothing for none. The A/B tests need a synthetic feed; the off-policy check a log with
random exposures. The arms are those of `ab_arms`, the control first; of a sweep it is the model that was chosen. All
have counted up to the same moment, so that of the served model too it is the export for those who simulate. Those of
`ab_ranked` differ in what stands behind the served retrieval: the ranker, the aligned ranker, nothing; there is no such
test where the pipeline has no aligned ranker.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from pipelines.graph.stage import Stage
from pipelines.systems.feed.stages import FEED, LOG, TIMELINES, WORLD
from pipelines.systems.ranking.stages import ALIGNED, FULL, exported_ranker, has_aligned
from pipelines.systems.retrieval.served import chosen
from runtime.errors import UsageError

AB_TEST, AB_RANKED, OFF_POLICY = FOLDERS = ("ab_test", "ab_ranked", "off_policy")
RANKED_ARMS = {"ranked": FULL, "aligned": ALIGNED, "retrieval": ""}  # arm -> its ranker
_AIM = "what it does to people, over days"
COVERAGE_SEEDS = 50
SERVED = Path("serve/recommender")


def stages(config: ConfigDict) -> list[Stage]:
    """The arms on the feed for days; the model that is served and the control on the log's random exposures.

    Errors: UsageError where `ab_arms` are fewer than two or one of them is not trained.
    """
    planned = []
    if config.world and config.get(AB_TEST, ""):
        _check(config)
        arms = {signals: chosen(config, signals).recommender for signals in config.ab_arms}
        planned.append(_test(AB_TEST, config, arms, {}, aa_tests=config.aa_tests))
    if config.world and config.get(AB_RANKED, "") and has_aligned(config):
        rankers = {arm: exported_ranker(variant) for arm, variant in RANKED_ARMS.items() if variant}
        planned.append(_test(AB_RANKED, config, dict.fromkeys(RANKED_ARMS, SERVED), rankers))
    if config.get(OFF_POLICY, ""):
        _check(config)
        arms = {signals: chosen(config, signals).recommender for signals in (config.ab_arms[0], config.serve)}
        truth = {"world": WORLD, "coverage_seeds": COVERAGE_SEEDS} if config.world else {}
        check = Stage(
            name=OFF_POLICY,
            module="simulation.off_policy",
            config=f"configs/off_policy.py:{config.off_policy}",
            flags={"data": TIMELINES, "arms": arms, **truth},
            inputs=(*([FEED] if config.world else []), LOG, *_files(arms, config)),
            aim=_AIM,
        )
        planned.append(check)
    return planned


def _test(name: str, config: ConfigDict, arms: Mapping[str, Path], rankers: Mapping[str, Path], **more: Any) -> Stage:
    return Stage(
        name=name,
        module="simulation.ab_test",
        config=f"configs/ab_test.py:{config[name]}",
        flags={"world": WORLD, "arms": arms, "rankers": rankers or None, **more},
        inputs=(FEED, *_files(arms, config), *(folder / "manifest.json" for folder in rankers.values())),
        writes=("metrics.json", "by_day.json", "long_run.json", "definitions.json"),
        aim=_AIM,
        effort=2.0,
    )


def _check(config: ConfigDict) -> None:
    trained = (*config.plain, *config.sweeps)
    unknown = [signals for signals in config.ab_arms if signals not in trained]
    if unknown or len(set(config.ab_arms)) < max(2, len(config.ab_arms)) or config.ab_arms[0] not in config.plain:
        raise UsageError(
            f"--config.ab_arms={tuple(config.ab_arms)}: give two or more of {', '.join(trained)}, which "
            f"'{config.name}' trains, the first of them one of {', '.join(config.plain)}"
        )


def _files(arms: Mapping[str, Path], config: ConfigDict) -> tuple[Path, ...]:
    # What has to be there before these recommenders are, which of a sweep are links, and their manifests.
    made_from = [file for arm, folder in arms.items() if folder != SERVED for file in chosen(config, arm).made_from]
    return tuple(dict.fromkeys([*made_from, *(folder / "manifest.json" for folder in arms.values())]))
