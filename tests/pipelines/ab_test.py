"""The A/B section on made-up numbers, and its stages as data."""

import json
import re
from pathlib import Path

import pytest

from configs import pipeline
from pipelines.report.charts import COLOURS
from pipelines.report.run_folder import Run
from pipelines.systems.ab import charts as ab_charts
from pipelines.systems.ab import stages as ab_stages
from pipelines.systems.ab import tables as ab_tables
from pipelines.systems.ab.published import PUBLISHED
from pipelines.systems.ab.results import Test
from runtime.errors import UsageError
from simulation.ab_test.experiment import definitions
from simulation.ab_test.metrics import all_metrics
from tests.helpers.made_up_figures import empty_run, numbers_of, page_of, with_interval, write

METRICS = all_metrics(long_day_ms=600_000)
ARMS = ("no_dislike_signal", "dislike_input_and_label", "dislike_input", "skip_label")
ORDERS = ("ranked", "aligned", "retrieval")


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    return empty_run(tmp_path)


@pytest.fixture
def workdir(empty: Path) -> Path:
    figures = {"aa/tests": 50, "aa/users": 400} | {f"users/{arm}": 50 for arm in ARMS}
    figures |= with_interval("aa/mean", 0.048, 0.01)
    for metric in METRICS:
        figures |= {f"{metric}/{arm}": 0.02 - 0.001 * n for n, arm in enumerate(ARMS)}
        for n, arm in enumerate(ARMS[1:]):
            prefix = f"{arm}/" if n else ""
            figures |= with_interval(f"{prefix}{metric}/relative", -0.25 + 0.1 * n, 0.05)
            figures |= with_interval(f"{prefix}group/low_activity/{metric}/relative", -0.2, 0.3)
        figures |= with_interval(f"aa/{metric}", 0.045, 0.03)
    figures |= with_interval("viewers/relative", 0.01, 0.02)
    figures |= with_interval("aa/likes", 0.09, 0.03)
    figures |= with_interval("long_run/skip_label/high_exposure/slope", 0.1, 0.05)
    folder = empty / "ab_test"
    write(folder / "metrics.json", figures)
    write(folder / "definitions.json", definitions(METRICS))
    settings = {"days": 3, "diversity_window": 100, "long_day_ms": 600_000}
    write(folder / "config.json", {"config": settings, "arms": [[arm, "fingerprint"] for arm in ARMS]})
    days = {"value": [-0.1, None, -0.3], "low": [-0.2, None, -0.4], "high": [0.0, None, -0.2]}
    write(folder / "by_day.json", {arm: dict.fromkeys(METRICS, days) for arm in ARMS[1:]})
    row = {"from": 0.0, "users": 9, "dislikes": 0.5, "entropy": 2.0, "low": 1.9, "high": 2.1}
    group = {"bins": [row, {**row, "dislikes": 2.0}], "slope": 0.1, "low": 0.0, "high": 0.2}
    groups = {"low_exposure": {**group, "bins": []}, "high_exposure": group}
    write(folder / "long_run.json", dict.fromkeys(ARMS, groups))
    estimates = {"exposures": 700, f"{ARMS[0]}/dislike/truth": 0.0123}
    estimates |= with_interval(f"{ARMS[0]}/dislike/dr", 0.0111, 0.002)
    estimates |= with_interval(f"{ARMS[0]}/dislike/dr/coverage", 0.94, 0.05)
    estimates |= with_interval(f"{ARMS[0]}/mean_weight", 2.0, 0.5)
    write(empty / "off_policy" / "metrics.json", estimates)
    write(empty / "off_policy" / "config.json", {"config": {"slate_size": 100}, "arms": [[ARMS[0], "fingerprint"]]})
    return empty


@pytest.fixture
def ranked(workdir: Path) -> Path:
    folder = workdir / "ab_ranked"
    figures = {f"users/{arm}": 40 for arm in ORDERS} | {f"true_satisfaction/{arm}": 0.6 for arm in ORDERS}
    figures |= with_interval("true_satisfaction/relative", 0.02, 0.01)
    figures |= with_interval("watch_time/relative", 0.005, 0.02)
    figures |= with_interval("retrieval/true_satisfaction/relative", -0.06, 0.02)
    write(folder / "metrics.json", figures)
    write(folder / "definitions.json", definitions(METRICS))
    write(folder / "config.json", {"config": {"days": 3}, "arms": [[arm, "fingerprint"] for arm in ORDERS]})
    days = {"value": [0.01, 0.02], "low": [0.0, 0.01], "high": [0.02, 0.03]}
    write(folder / "by_day.json", {arm: dict.fromkeys(METRICS, days) for arm in ORDERS[1:]})
    return workdir


def test_a_row_says_what_was_found_published_and_whether_it_is_better(workdir: Path) -> None:
    test = Test(Run(workdir), "ab_test")
    rows = {row.name: row for row in ab_tables.rows(test)}
    assert list(rows) == list(METRICS)
    dislikes = rows["dislike_rate"]
    assert [cell.arm for cell in dislikes.cells] == list(ARMS[1:])
    served, as_input, skips = dislikes.cells
    assert [one.change for one in served.published] == [-0.0244, -0.0110]  # homepage, immersive feed
    assert [(one.change, one.significant) for one in as_input.published] == [(-0.0034, False)]
    assert not skips.published
    assert [cell.change.value for cell in dislikes.cells if cell.change] == pytest.approx([-0.25, -0.15, -0.05])
    assert [cell.verdict for cell in dislikes.cells] == [1, 1, 0]  # the last interval ends at zero
    assert (served.level, dislikes.control) == ("0.0190", "0.0200")
    assert rows["likes"].cells[0].verdict == -1  # fewer
    assert rows["viewers"].cells[0].verdict == 0  # the interval holds zero
    assert [point is not None for point in served.groups] == [True, False, False]


def test_the_best_change_of_each_metric_is_marked_by_its_direction_with_the_control_as_no_change(workdir: Path) -> None:
    # The changes are -25%, -15%, -5%, of viewers +1%, -15%, -5%.
    test = Test(Run(workdir), "ab_test")
    rows = {row.name: row for row in ab_tables.rows(test)}
    marks = {name: [row.control_is_best, *(cell.best for cell in row.cells)] for name, row in rows.items()}
    assert marks["dislike_rate"] == [False, True, False, False]  # fewest
    assert marks["likes"] == [True, False, False, False]  # everybody else has less
    assert marks["viewers"] == [False, True, False, False]
    assert "<b>Underlined</b></span>: the best value of its line" in page_of(workdir)


def test_a_figure_of_the_paper_stands_beside_either_tower() -> None:
    assert PUBLISHED["dislike_input_and_label_paper_tower"] == PUBLISHED["dislike_input_and_label"]
    assert PUBLISHED["dislike_input_paper_tower"] == PUBLISHED["dislike_input"]


def test_a_share_of_false_positives_that_misses_is_said_to(workdir: Path) -> None:
    test = Test(Run(workdir), "ab_test")
    assert {row.name for row in ab_tables.rows(test) if row.misses} == {"likes"}  # 6% to 12%
    assert page_of(workdir).count("misses 5%") == 1
    assert "Over all metrics it does in 4.8% (3.8% to 5.8%)." in page_of(workdir)
    assert "50 times the whole test again, each with 400 new people" in page_of(workdir)


def test_sentences_set_the_published_figure_beside_ours(workdir: Path) -> None:
    test = Test(Run(workdir), "ab_test")
    of_arm = ab_tables.sentences(test)
    said = of_arm["dislike_input_and_label"]
    published = "published: −2.44% (homepage), −1.10% (immersive feed)"
    assert f"Dislike rate: −25.00% (95% interval −30.00% to −20.00%); {published}." in said
    assert "Viewers: no measurable change (95% interval −1.00% to +3.00%); published: −0.14% (homepage)." in said
    assert of_arm["dislike_input"] == [
        "Dislike rate: −15.00% (95% interval −20.00% to −10.00%); published: −0.34% (homepage, not significant)."
    ]
    assert ab_tables.not_tested(test) == {"dislike_excluded": "dislike rate −0.84% (homepage)"}


def test_charts_show_each_arm_where_the_paper_does(workdir: Path) -> None:
    # Figure 2a: dislikes, of all arms but that of skips; figure 2b: its enjoyment. Every arm in the long run.
    test = Test(Run(workdir), "ab_test")
    days = ab_charts.SIGNAL_DAYS
    drawn = {name: ab_charts._lines(test, name, of_skips=of) for name, of in days.items()}
    assert list(drawn["dislike_rate"]) == ["dislike_input_and_label", "dislike_input"]
    assert list(drawn["enjoyment"]) == ["skip_label"]
    chart = ab_charts.long_run(test)
    for arm in ARMS:
        assert COLOURS[arm] in chart
    assert ab_tables.slopes(test) == ["Skips as label, with memory: high exposure +0.100 (+0.050 to +0.150)."]


def test_the_page_has_table_charts_and_estimates(workdir: Path) -> None:
    page = page_of(workdir)
    assert page.count("<svg") == 2 * 2  # by day and the long run: wide and narrow
    assert "Repeated dislikes, same creator" in page
    assert "−9.60%" in page
    for arm in ARMS:
        assert ab_tables.arm_title(arm) in page
    assert "high exposure +0.100 (+0.050 to +0.150)" in page
    assert "A long day, 10 minutes" in page
    assert "dislike excluded: dislike rate −0.84% (homepage)" in page
    assert "0.0111" in page
    assert "0.0123" in page
    assert "Doubly robust" in page
    assert "700 items of the test days" in page
    assert "is 2.00 [1.50, 2.50], which leaves out 1" in page


def test_the_test_of_the_rankers_has_satisfaction_and_watch_time_first(ranked: Path) -> None:
    test = Test(Run(ranked), "ab_test")
    page = page_of(ranked)
    section = page[page.index("The order that it is shown in") : page.index('id="data"')]
    rows = re.findall(r"<tr><td title[^>]*>([^<]*)</td>", section)
    assert rows[:3] == ["True satisfaction", "Watch time a user", "Dislike rate"]
    assert section.count("<svg") == 2  # by day, wide and narrow
    assert "+0.12%<small>Kuaishou</small>" in section  # Zhang et al., of the aligned arm alone
    assert section.count("<th>Published</th>") == 1
    assert "has left no numbers" not in section
    assert "Published of an arm that is not tested here" not in section
    assert test.arms == list(ARMS)
    numbers = numbers_of(ranked)
    assert numbers["ab_ranked/true_satisfaction/relative"] == 0.02
    assert numbers["ab_test/dislike_rate/relative"] == -0.25


@pytest.mark.parametrize(
    ("satisfaction", "watch_time", "verdict"),
    [
        (0.02, 0.005, "So it satisfies more, at a watch time that cannot be told from equal."),
        (0.02, -0.03, "So it satisfies more, and is watched for a shorter time."),
        (0.02, 0.03, "So it satisfies more, and is watched longer."),
        (-0.02, 0.03, "So it satisfies less."),
        (0.005, 0.03, "So whether it satisfies more cannot be told from these users."),
    ],
)
def test_what_was_found_of_the_aligned_ranker_follows_the_intervals(
    ranked: Path, satisfaction: float, watch_time: float, verdict: str
) -> None:
    figures = json.loads((ranked / "ab_ranked" / "metrics.json").read_text())
    figures |= with_interval("true_satisfaction/relative", satisfaction, 0.01)
    figures |= with_interval("watch_time/relative", watch_time, 0.02)
    write(ranked / "ab_ranked" / "metrics.json", figures)
    said = ab_tables.finding(Test(Run(ranked), "ab_ranked"))
    assert f". {verdict} Retrieval alone, against the ranker: true satisfaction falls by 6.0% (95% " in said
    assert said.startswith("Ranker aligned with satisfaction, against the ranker: true satisfaction ")
    assert said in page_of(ranked)


def test_a_run_without_a_test_still_has_its_report(empty: Path) -> None:
    assert not any(name.startswith(("ab_test/", "ab_ranked/", "off_policy/")) for name in numbers_of(empty))
    page = page_of(empty)
    for stage in ("ab_test", "ab_ranked"):
        assert f"the stage <code>{stage}</code> has left no numbers" in page


def test_an_off_policy_check_alone_is_shown(workdir: Path) -> None:
    for file in (workdir / "ab_test").iterdir():
        file.unlink()
    page = page_of(workdir)
    assert "the stage <code>ab_test</code> has left no numbers" in page
    assert "Doubly robust" in page


def test_metrics_are_flat(workdir: Path) -> None:
    numbers = numbers_of(workdir)
    assert numbers["ab_test/dislike_rate/relative"] == -0.25
    assert numbers["off_policy/no_dislike_signal/dislike/dr"] == 0.0111


def test_stages_stand_where_a_pipeline_asks_for_them() -> None:
    config = pipeline.get_config("demo")
    config.ab_test, config.off_policy = "", ""
    assert ab_stages.stages(config) == []
    config.ab_test, config.off_policy = "demo", "standard"
    ab, off_policy = ab_stages.stages(config)
    learning = "dislike_input_and_label"
    assert list(ab.flags["arms"]) == [
        *ARMS[:3],
        "dislike_input_paper_tower",
        f"{learning}_paper_tower",
        f"{learning}_without_counts",
        "skip_label",
    ]
    # Of the weights that the validation days choose from, which settle what the link is of.
    assert ab.flags["arms"]["skip_label"] == Path("selected/skip_label-export/recommender")
    swept = [f"export/skip_label-w{weight:g}/recommender/manifest.json" for weight in config.sweeps.skip_label.weights]
    assert {Path(file) for file in (*swept, "selected/metrics.json")} <= {*ab.inputs}
    assert ab.flags["aa_tests"] == 50
    assert ab.config == "configs/ab_test.py:demo"
    assert ab.flags["world"] == Path("world")
    assert off_policy.flags["coverage_seeds"] == 50
    for stage in (ab, off_policy):
        # Not what is served, which has counted the test days.
        assert Path(f"selected/{learning}-export/recommender/manifest.json") in stage.inputs
        assert Path("serve/recommender/manifest.json") not in stage.inputs
        assert stage.outputs[0] == stage.folder / "metrics.json"


def test_the_orders_of_one_retrieval_are_compared_where_there_is_an_aligned_ranker() -> None:
    config = pipeline.get_config("standard")
    found = {stage.name: stage for stage in ab_stages.stages(config)}
    test, served = found["ab_ranked"], Path("serve/recommender")
    full, aligned = Path("ranking/export/ranker"), Path("ranking/aligned/export/ranker")
    assert test.config == "configs/ab_test.py:standard"
    assert test.flags["arms"] == {"ranked": served, "aligned": served, "retrieval": served}
    assert test.flags["rankers"] == {"ranked": full, "aligned": aligned}
    world = Path("world/tables/manifest.json")
    assert test.inputs == (world, *(folder / "manifest.json" for folder in (served, full, aligned)))
    assert not any("rankers" in word for word in found["ab_test"].command(str))
    config.satisfaction_weight = 0.0
    assert "ab_ranked" not in [stage.name for stage in ab_stages.stages(config)]


@pytest.mark.parametrize(
    "arms",
    [
        ("no_dislike_signal",),
        ("no_dislike_signal", "reinforce"),
        ("skip_label", "dislike_input"),
        ("dislike_input",) * 2,
    ],
)
def test_arms_that_a_pipeline_does_not_train_are_named(arms: tuple[str, ...]) -> None:
    config = pipeline.get_config("standard")
    config.ab_arms = arms
    with pytest.raises(
        UsageError, match=re.escape(f"--config.ab_arms={arms}: give two or more of no_dislike_signal, ")
    ):
        ab_stages.stages(config)


def test_real_logs_have_no_feed_to_test_on_and_no_truth() -> None:
    config = pipeline.get_config("kuairand_pure")
    config.ab_test, config.off_policy = "demo", "standard"
    (off_policy,) = ab_stages.stages(config)
    assert not {"world", "coverage_seeds"} & off_policy.flags.keys()
    assert off_policy.flags["arms"]["dislike_input"].parent.parent == Path("export")
