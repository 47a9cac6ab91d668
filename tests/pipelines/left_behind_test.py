"""A report tells of the stages that its pipeline has, whatever earlier pipelines have left in the run folder."""

from pathlib import Path
from typing import Any

import pytest
from ml_collections import ConfigDict

from configs import pipeline
from pipelines.graph.records import record_of
from pipelines.registry import STAGES, planned, sections
from pipelines.report.page import numbers
from pipelines.report.run_folder import Run
from tests.helpers.made_up_figures import write


def everything() -> ConfigDict:
    """A pipeline that has every system but the experiments on responses."""
    config = pipeline.get_config("tiny")
    config.satisfaction_protocols, config.ranking_variants, config.ranking_seeds = (
        ("time", "leave_one_out"),
        ("mlp",),
        2,
    )
    config.judged_by_truth = True
    config.experiments = {}
    return config


def left_behind(workdir: Path, config: ConfigDict) -> dict[str, str]:
    """Writes a figure and a record of every stage; stage -> its folder."""
    folders = {"world": "world", **{stage.name: str(stage.folder) for of in STAGES for stage in of.stages(config)}}
    for name, folder in folders.items():
        write(workdir / folder / "metrics.json", {"figure": 1.0, "exposures": 1.0})
        write(workdir / folder / "config.json", {"config": {"positive": []}, "arms": []})
        record = {"stage": name, "began": 0.0, "seconds": 1.0, "status": 0, "commit": "c", "recipe": {}}
        write(workdir / record_of(name), record)
    return folders


def told(workdir: Path) -> tuple[set[str], set[str]]:
    """Of which folders the report has the figure, and which stages it says were run."""
    page = sections(Run(workdir))
    (made,) = [section for section in page if section.anchor == "made"]
    of_figure = {name.removesuffix("/figure") for name in numbers(page) if name.endswith("/figure")}
    return of_figure, {record["stage"] for record in made.parts["made"]}


@pytest.mark.parametrize(
    ("less", "gone"),
    [
        ({"ranking": "", "satisfaction_weight": 0.0, "ab_ranked": ""}, "ranking/train/full"),
        ({"ranking_variants": ()}, "ranking/train/mlp-seed1"),
        ({"ranking_seeds": 1}, "ranking/train/full-seed1"),
        ({"satisfaction_weight": 0.0}, "ranking/aligned/validate"),
        ({"satisfaction_weight": 0.0}, "ab_ranked"),
        ({"satisfaction": "", "satisfaction_weight": 0.0}, "satisfaction/time/train"),
        ({"satisfaction_protocols": ("time",)}, "satisfaction/leave_one_out/test"),
        ({"satisfaction_ablations": {}}, "satisfaction/time/ablations"),
        ({"ab_test": "", "ab_ranked": ""}, "ab_test"),
        ({"off_policy": ""}, "off_policy"),
        ({"counterfactual": "", "gate": {}}, "counterfactual/dislike_input"),
        ({"world": "", "ab_test": "", "ab_ranked": "", "judged_by_truth": False}, "world"),
        ({"world": "", "ab_test": "", "ab_ranked": "", "judged_by_truth": False}, "ceiling"),
    ],
)
def test_nothing_is_told_of_a_stage_that_the_pipeline_no_longer_has(
    tmp_path: Path, less: dict[str, Any], gone: str
) -> None:
    config = everything()
    folders = left_behind(tmp_path, config)
    write(tmp_path / "pipeline.json", config.to_dict())
    figures, stages = told(tmp_path)
    assert gone in figures
    assert stages == {*folders} <= {*planned(config)}
    smaller = {**config.to_dict(), **less}
    write(tmp_path / "pipeline.json", smaller)
    figures, stages = told(tmp_path)
    kept = {*planned(ConfigDict(smaller))} & {*folders}
    assert gone not in kept
    assert stages == kept
    assert figures <= {folders[name] for name in kept}
