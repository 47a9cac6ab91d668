"""The stages of the closed-loop A/B test and of the off-policy check, to be hung into the graph.

    world, export/<control>, serve -> ab_test
    [world], prepare, export/<control>, serve -> off_policy

A pipeline's config says which: `ab_test` and `off_policy`, sizes in configs/ab_test.py and configs/off_policy.py, "" or
nothing for none. The A/B test needs a synthetic feed; the off-policy check a log with random exposures.
"""

from pathlib import Path

from ml_collections import ConfigDict

from pipelines.stage import Stage

FOLDERS = ("ab_test", "off_policy")
AA_TESTS = 200
COVERAGE_SEEDS = 50


def ab_control(config: ConfigDict) -> str:
    """The signals of the control: the model that is blind to dislikes, or else the first without negative labels."""
    return "no_dislike_signal" if "no_dislike_signal" in config.plain else config.plain[0]


def ab_stages(config: ConfigDict, workdir: Path, timelines: Path) -> list[Stage]:
    """The served model against the control, on the feed for days and on the log's random exposures."""
    control = f"{ab_control(config)}-final" if config.get("final", False) else ab_control(config)
    folders = {
        "control": workdir / "export" / control / "recommender",
        "treatment": workdir / "serve" / "recommender",
    }
    arms = "--arms=" + ",".join(f"{name}={folder}" for name, folder in folders.items())
    exported = tuple(folder / "manifest.json" for folder in folders.values())
    feed = workdir / "world" if config.world else None
    # The manifest of the tables is the world stage's output, and vouches for the truth beside it.
    world = (feed / "tables" / "manifest.json",) if feed else ()
    found = []
    if feed and config.get("ab_test", ""):
        folder = workdir / "ab_test"
        found.append(
            Stage(
                name="ab_test",
                module="simulation.ab_test",
                folder=folder,
                config=f"configs/ab_test.py:{config.ab_test}",
                flags=(f"--world={feed}", arms, f"--aa_tests={AA_TESTS}"),
                inputs=(*world, *exported),
                outputs=tuple(
                    folder / name for name in ("metrics.json", "by_day.json", "long_run.json", "definitions.json")
                ),
            )
        )
    if config.get("off_policy", ""):
        known = (f"--world={feed}", f"--coverage_seeds={COVERAGE_SEEDS}") if feed else ()
        found.append(
            Stage(
                name="off_policy",
                module="simulation.off_policy",
                folder=workdir / "off_policy",
                config=f"configs/off_policy.py:{config.off_policy}",
                flags=(f"--data={timelines}", arms, *known),
                inputs=(*world, timelines / "manifest.json", *exported),
                outputs=(workdir / "off_policy" / "metrics.json",),
            )
        )
    return found
