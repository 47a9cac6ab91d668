"""The A/B section on made-up numbers, and its stages as data."""

from pathlib import Path

import pytest

from configs import pipeline
from pipelines import ab_tables
from pipelines.ab_evidence import flat_ab, gather_ab
from pipelines.ab_stages import ab_stages
from pipelines.evidence import gather
from pipelines.findings import against_reference
from pipelines.page import render
from pipelines.published import LIVE
from simulation.ab_metrics import all_metrics
from simulation.experiment import definitions
from tests.made_up_figures import empty_run, with_interval, write

METRICS = all_metrics(long_day_ms=600_000)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    return empty_run(tmp_path)


@pytest.fixture
def workdir(empty: Path) -> Path:
    figures = {"users/control": 50, "users/treatment": 50, "aa/tests": 200}
    for metric in METRICS:
        figures |= {f"{metric}/control": 0.02, f"{metric}/treatment": 0.015}
        figures |= with_interval(f"{metric}/relative", -0.25, 0.05)
        figures |= with_interval(f"aa/{metric}", 0.045, 0.03)
        figures |= with_interval(f"group/low_activity/{metric}/relative", -0.2, 0.3)
    figures |= with_interval("viewers/relative", 0.01, 0.02)
    folder = empty / "ab_test"
    write(folder / "metrics.json", figures)
    write(folder / "definitions.json", definitions(METRICS))
    write(folder / "config.json", {"config": {"days": 3, "diversity_window": 100}})
    days = {"value": [-0.1, None, -0.3], "low": [-0.2, None, -0.4], "high": [0.0, None, -0.2]}
    write(folder / "by_day.json", {"treatment": dict.fromkeys(METRICS, days)})
    row = {"from": 0.0, "users": 9, "dislikes": 0.5, "entropy": 2.0, "low": 1.9, "high": 2.1}
    group = {"bins": [row, {**row, "dislikes": 2.0}], "slope": 0.1, "low": 0.0, "high": 0.2}
    groups = {"low_exposure": {**group, "bins": []}, "high_exposure": group}
    write(folder / "long_run.json", {"control": groups, "treatment": groups})
    estimates = {"exposures": 700, "control/dislike/truth": 0.0123}
    estimates |= with_interval("control/dislike/dr", 0.0111, 0.002)
    estimates |= with_interval("control/dislike/dr/coverage", 0.94, 0.05)
    write(empty / "off_policy" / "metrics.json", estimates)
    write(empty / "off_policy" / "config.json", {"config": {"slate_size": 100}})
    return empty


def _page(workdir: Path) -> str:
    evidence = gather(workdir)
    return render(evidence, against_reference(evidence), None, gather_ab(workdir))


def test_a_row_says_what_was_found_published_and_whether_it_is_better(workdir: Path) -> None:
    evidence = gather_ab(workdir)
    assert evidence is not None
    rows = {row.name: row for row in ab_tables.rows(evidence)}
    assert list(rows) == list(METRICS)
    dislikes = rows["dislike_rate"]
    assert dislikes.published is LIVE["dislike_input_and_label"]["dislike_rate"]
    assert dislikes.change is not None
    assert (dislikes.change.value, dislikes.verdict) == (-0.25, 1)
    assert rows["likes"].verdict == -1  # fewer
    assert rows["viewers"].verdict == 0  # the interval holds zero
    assert [point is not None for point in dislikes.groups] == [True, False, False]


def test_sentences_set_the_published_figure_beside_ours(workdir: Path) -> None:
    evidence = gather_ab(workdir)
    assert evidence is not None
    said = ab_tables.sentences(evidence)
    assert "Dislike rate: −25.00% (95% interval −30.00% to −20.00%); published: −2.44%." in said
    assert "Viewers: no measurable change (95% interval −1.00% to +3.00%); published: −0.14%." in said


def test_the_page_has_table_charts_and_estimates(workdir: Path) -> None:
    page = _page(workdir)
    assert page.count("<svg") == 2 * 2  # by day and the long run: wide and narrow
    assert "Repeated dislikes, same creator" in page
    assert "−9.60%" in page
    assert "0.0111" in page
    assert "0.0123" in page
    assert "Doubly robust" in page
    assert "700 items of the held-out days" in page


def test_a_run_without_a_test_still_has_its_report(empty: Path) -> None:
    assert gather_ab(empty) is None
    assert flat_ab(None) == {}
    page = _page(empty)
    assert "the stage <code>ab_test</code> has left no numbers" in page


def test_an_off_policy_check_alone_is_shown(workdir: Path) -> None:
    for file in (workdir / "ab_test").iterdir():
        file.unlink()
    page = _page(workdir)
    assert "the stage <code>ab_test</code> has left no numbers" in page
    assert "Doubly robust" in page


def test_metrics_are_flat(workdir: Path) -> None:
    numbers = flat_ab(gather_ab(workdir))
    assert numbers["ab_test/dislike_rate/relative"] == -0.25
    assert numbers["off_policy/control/dislike/dr"] == 0.0111


def test_stages_stand_where_a_pipeline_asks_for_them(tmp_path: Path) -> None:
    config = pipeline.get_config("demo")
    config.ab_test, config.off_policy = "", ""
    assert ab_stages(config, tmp_path, tmp_path / "timelines") == []
    config.ab_test, config.off_policy = "demo", "standard"
    ab, off_policy = ab_stages(config, tmp_path, tmp_path / "timelines")
    assert ab.config == "configs/ab_test.py:demo"
    assert f"--world={tmp_path / 'world'}" in ab.flags
    assert "--coverage_seeds=50" in off_policy.flags
    for stage in (ab, off_policy):
        assert tmp_path / "serve" / "recommender" / "manifest.json" in stage.inputs
        assert stage.outputs[0] == stage.folder / "metrics.json"


def test_real_logs_have_no_feed_to_test_on_and_no_truth(tmp_path: Path) -> None:
    config = pipeline.get_config("kuairand_pure")
    config.ab_test, config.off_policy = "demo", "standard"
    (off_policy,) = ab_stages(config, tmp_path, tmp_path / "timelines")
    assert not any(flag.startswith(("--world", "--coverage_seeds")) for flag in off_policy.flags)
    assert "export/dislike_input" in " ".join(off_policy.flags)
