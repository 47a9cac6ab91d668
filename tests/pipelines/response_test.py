"""The closer look at the served model's response: what the report makes of its experiments."""

import json
from pathlib import Path

import pytest

from configs import counterfactual, pipeline
from pipelines.report.run_folder import Run
from pipelines.systems.response import charts as response_charts
from pipelines.systems.response import tables as response_tables
from pipelines.systems.response.results import responses
from pipelines.systems.response.stages import config_name
from tests.helpers.made_up_figures import empty_run, numbers_of, page_of, with_interval, write

NO = "long_watch+dislike"


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """A run of which nothing but the experiments is there; by creator alone, and by vectors."""
    run = empty_run(tmp_path)
    config = pipeline.get_config("tiny").to_dict()
    both = ("served", "reference")
    three = (*both, "paper_tower")
    experiments = {**config["experiments"], "in_a_row": both, "elsewhere": three, "replayed": three}
    write(run / "pipeline.json", {**config, "experiments": experiments})
    found = {
        "in_a_row": {f"{NO}/creator": -0.2, f"{NO}*2/creator": -0.3, f"{NO}*3/creator": -0.35, f"{NO}*5/creator": -0.4},
        "memory": {f"{NO}/creator": -0.2, f"after_3/{NO}/creator": -0.05, f"{NO}/vectors": -0.01},
        "sweeps": {
            f"{prefix}{NO}/creator": -0.01 * n
            for n, prefix in enumerate(
                ("", "slate_1/", "slate_2/", "k_2/", "k_2/slate_1/", "k_2/slate_2/", "k_4/", "k_4/slate_1/")
            )
        },
        "ranked": {f"{NO}/creator": -0.15},
        "replayed": {f"{NO}/creator": -0.35, "users/creator": 943},
        "elsewhere": {
            f"{NO}/creator": -0.5,
            f"{NO};other:{NO}/creator": -0.25,
            f"{NO};other:long_watch/creator": -0.45,
            f"{NO};other:{NO}*4/creator": 0.0,
        },
        "undo": {f"{NO}/creator": -0.5, f"{NO};long_watch+like*3/creator": -0.1},
        "forgetting": {f"{NO}/creator": -0.5, f"after_64/{NO}/creator": -0.125, f"after_65/{NO}/creator": 0.0},
    }
    for experiment, values in found.items():
        figures: dict[str, float] = {}
        for name, value in values.items():
            figures |= with_interval(name, value, 0.01)
        if experiment == "elsewhere":
            figures |= {"similarity/long_watch/creator": 0.5, f"similarity/{NO}/creator": 0.25, "users/creator": 1000}
            others = f"other:{NO}/creator"
            figures |= {f"similarity/long_watch;{others}": 0.4, f"similarity/{NO};{others}": 0.3}
        if experiment == "forgetting":
            figures["events_read"] = 64
        settings = counterfactual.get_config(config_name(experiment, "tiny").partition(":")[2]).to_dict()
        for model in three:
            write(run / "responsiveness" / experiment / model / "metrics.json", figures)
            write(run / "responsiveness" / experiment / model / "config.json", {"config": settings})
    return run


def test_experiments_are_read_as_far_as_the_config_names_them(workdir: Path) -> None:
    found = responses(Run(workdir))
    assert [(one.experiment, one.model) for one in found] == [
        ("elsewhere", "served"),
        ("elsewhere", "reference"),
        ("elsewhere", "paper_tower"),
        ("forgetting", "served"),
        ("in_a_row", "served"),
        ("in_a_row", "reference"),
        ("memory", "served"),
        ("ranked", "served"),
        ("replayed", "served"),
        ("replayed", "reference"),
        ("replayed", "paper_tower"),
        ("sweeps", "served"),
        ("undo", "served"),
    ]
    numbers = numbers_of(workdir)
    assert numbers[f"responsiveness/memory/served/after_3/{NO}/creator"] == -0.05
    assert f"responsiveness/sweeps/reference/{NO}/creator" not in numbers


def test_a_sweep_has_a_row_per_length_and_a_column_per_size(workdir: Path) -> None:
    # tiny: k 8, swept 2 and 4; slates of 10, of which the first 1 and 2.
    table = response_tables.sweep(responses(Run(workdir)))
    assert table is not None
    assert table.headings == ["first 1", "first 2", "first 10"]
    assert [row.label for row in table.rows] == [f"{k} items before, by creator" for k in (2, 4, 8)]
    values = [[point and round(point.value, 2) for point in row.cells] for row in table.rows]
    assert values == [[-0.04, -0.05, -0.03], [-0.07, None, -0.06], [-0.01, -0.02, 0.0]]
    assert [row.emphasis for row in table.rows] == [False, False, True]


def test_a_no_to_others_has_shares_and_the_change_beside_them(workdir: Path) -> None:
    table = response_tables.elsewhere(responses(Run(workdir)))
    assert table is not None
    assert table.headings == ["watched, creator", "disliked, creator", "change, creator"]
    rows = {row.label: [point and point.value for point in row.cells] for row in table.rows}
    assert rows["Right after"] == [0.5, 0.25, -0.5]
    assert rows["After a dislike of one other"] == [0.4, 0.3, -0.25]
    assert rows["After a watch of one other"] == [None, None, -0.45]
    assert rows["After a dislike of four others"] == [None, None, 0.0]
    assert table.note.startswith("1,000 users.")


def test_lines_tell_how_others_were_said_no_to_and_which_server_was_asked(workdir: Path) -> None:
    found = {one.experiment: one for one in responses(Run(workdir))}
    others = response_charts.by_others(found["elsewhere"])
    assert others["-"] == {0: NO, 1: f"{NO};other:{NO}", 2: f"{NO};other:{NO}*2", 4: f"{NO};other:{NO}*4"}
    assert others["--"] == {
        0: NO,
        **{n: f"{NO};other:long_watch{times}" for n, times in ((1, ""), (2, "*2"), (4, "*4"))},
    }
    window = response_charts.by_distance(found["forgetting"])
    # tiny looks at 1 and, of the 64 events that are read, at 64, 65 and 84.
    assert window == {"-": {1: NO, **{at: f"after_{at}/{NO}" for at in (64, 65, 84)}}}
    assert list(response_charts.by_likes(found["undo"])["-"]) == [0, 1, 2, 3, 5]


def test_how_long_a_no_lasts_is_told_as_of_a_server_that_keeps_a_state(workdir: Path) -> None:
    write(workdir / "pipeline.json", {**Run(workdir).pipeline, "experiments": {"lasting": ("served",)}})
    folder = workdir / "responsiveness" / "lasting" / "served"
    left = {**with_interval(f"{NO}/creator", -0.4, 0.01), **with_interval(f"after_3/{NO}/creator", -0.3, 0.01)}
    write(folder / "metrics.json", {**left, "events_read": 64})
    write(folder / "config.json", {"config": counterfactual.get_config("tiny,lasting").to_dict()})
    (found,) = responses(Run(workdir))
    assert response_charts.by_distance(found) == {"--": {1: NO, 3: f"after_3/{NO}", 64: f"after_64/{NO}"}}
    page = page_of(workdir)
    assert "the user takes what is then offered" in page
    assert "adds each event to it" in page
    assert "so nothing but the dislike makes a difference" not in page
    of_models = page.split('<section id="response">')[1].split("</section>")[0]
    assert of_models.index('<p class="legend">') < of_models.index("<svg")
    assert "Dashed upright: the model reads the last 64 events" in page


def test_ticks_are_left_out_where_they_would_overlap() -> None:
    assert response_charts.legible_ticks([1, 5, 20, 40, 64, 65, 84]) == [1, 5, 20, 40, 64, 84]


def test_people_of_a_log_without_play_times_have_met_what_they_dislike(workdir: Path) -> None:
    write(workdir / "pipeline.json", {**Run(workdir).pipeline, "experiments": {"replayed": ("served",)}})
    folder = workdir / "responsiveness" / "replayed" / "served"
    write(folder / "metrics.json", {**with_interval("met+dislike/creator", -0.25, 0.01), "users/creator": 943})
    write(folder / "config.json", {"config": counterfactual.get_config("tiny,without_play_times").to_dict()})
    page = page_of(workdir)
    assert "<td><b>−25.0%</b>" in page
    assert "943 users of the log, at their last event: met, once with and once without a dislike." in page


def test_a_heading_stands_over_what_there_is_alone(workdir: Path) -> None:
    heading = "More than one no, and how long it lasts"
    assert heading in page_of(workdir)
    config = Run(workdir).pipeline
    write(workdir / "pipeline.json", {**config, "experiments": {"replayed": ("served",)}})
    page = page_of(workdir)
    assert heading not in page
    assert "After people’s own histories" in page


def test_the_page_draws_and_tells_them(workdir: Path) -> None:
    page = page_of(workdir)
    assert page.count("<svg") == 6  # three charts, wide and narrow
    for said in ("Other clusters since (creator)", "Likes since (creator)", "has the model read the last 64 of them"):
        assert said in page
    assert "<td>50.0%</td>" in page  # a share beside the changes
    for said in ("Dislikes in a row (creator)", "Later, after one dislike (creator)"):
        assert said in page
    assert "<td>Retrieval alone</td><td><b>0%</b>" in page  # the figure of the sweep without a prefix
    assert "<td>Then ranked</td><td><b>−15.0%</b>" in page
    assert "Ranked: 50 users, the first 10 in its order." in page
    assert page.count("<td><b>−35.0%</b>") == 3  # all models after people’s own histories
    assert "943 users of the log, at their last event" in page
    # What is measured by vectors is explained where it is shown.
    assert "in the item vectors of" not in page
    ranked = workdir / "responsiveness" / "ranked" / "served" / "metrics.json"
    write(ranked, {**json.loads(ranked.read_text()), **with_interval(f"{NO}/vectors", -0.2, 0.01)})
    page = page_of(workdir)
    assert "in the item vectors of dislikes as input, with memory, which is another model" in page
    assert "<code>responsiveness</code> has left no numbers" not in page


def test_a_page_without_them_says_what_is_missing_and_only_where_they_were_wanted(tmp_path: Path) -> None:
    run = empty_run(tmp_path)
    assert "<code>responsiveness</code> has left no numbers" in page_of(run)
    write(run / "pipeline.json", {**pipeline.get_config("tiny").to_dict(), "experiments": {}})
    assert "More than one no" not in page_of(run)


def test_what_was_measured_is_not_said_to_be_missing_where_a_pipeline_asks_for_a_part(workdir: Path) -> None:
    config = pipeline.get_config("demo").to_dict()
    assert list(config["experiments"]) == ["elsewhere", "lasting"]
    write(workdir / "pipeline.json", {**config, "ranking": "", "satisfaction": ""})
    page = page_of(workdir)
    assert "Other clusters since (creator)" in page
    assert "Likes since" not in page
    assert "<code>responsiveness</code> has left no numbers" not in page
