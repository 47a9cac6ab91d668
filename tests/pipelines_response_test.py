"""The closer look at the served model's response: what the report makes of its experiments."""

from pathlib import Path

import pytest

from configs import counterfactual, pipeline
from pipelines import response_tables
from pipelines.evidence import gather
from pipelines.page import render
from pipelines.response_evidence import flat_responses, gather_responses
from tests.made_up_figures import empty_run, with_interval, write

NO = "long_watch+dislike"


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    """A run of which nothing but the experiments is there; by creator alone, and by vectors."""
    run = empty_run(tmp_path)
    config = pipeline.get_config("tiny").to_dict()
    both = ("served", "reference")
    write(run / "pipeline.json", {**config, "experiments": {**config["experiments"], "in_a_row": both}})
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
    }
    for experiment, values in found.items():
        figures: dict[str, float] = {}
        for name, value in values.items():
            figures |= with_interval(name, value, 0.01)
        settings = counterfactual.get_config(f"tiny,{'paper' if experiment == 'ranked' else experiment}").to_dict()
        for model in both:
            write(run / "responsiveness" / experiment / model / "metrics.json", figures)
            write(run / "responsiveness" / experiment / model / "config.json", {"config": settings})
    return run


def test_experiments_are_read_as_far_as_the_config_names_them(workdir: Path) -> None:
    found = gather_responses(workdir)
    assert [(one.experiment, one.model) for one in found] == [
        ("in_a_row", "served"),
        ("in_a_row", "reference"),
        ("memory", "served"),
        ("ranked", "served"),
        ("sweeps", "served"),
    ]
    numbers = flat_responses(found)
    assert numbers[f"responsiveness/memory/served/after_3/{NO}/creator"] == -0.05
    assert f"responsiveness/sweeps/reference/{NO}/creator" not in numbers


def test_a_sweep_has_a_row_per_length_and_a_column_per_size(workdir: Path) -> None:
    # tiny: k 8, swept 2 and 4; slates of 10, of which the first 1 and 2.
    table = response_tables.sweep(gather_responses(workdir))
    assert table is not None
    assert table.headings == ["first 1", "first 2", "first 10"]
    assert [row.label for row in table.rows] == [f"{k} items before, by creator" for k in (2, 4, 8)]
    values = [[point and round(point.value, 2) for point in row.cells] for row in table.rows]
    assert values == [[-0.04, -0.05, -0.03], [-0.07, None, -0.06], [-0.01, -0.02, 0.0]]
    assert [row.emphasis for row in table.rows] == [False, False, True]


def test_the_page_draws_and_tells_them(workdir: Path) -> None:
    page = render(gather(workdir), {}, responses=gather_responses(workdir))
    assert page.count("<svg") == 2  # wide and narrow
    for said in ("Dislikes in a row, of one cluster (creator)", "Recommendations later, after one dislike (creator)"):
        assert said in page
    assert "<td>Retrieval alone</td><td><b>0%</b>" in page  # the figure of the sweep without a prefix
    assert "<td>Then ranked</td><td><b>−15.0%</b>" in page
    assert "Ranked: 50 users, the first 10 in its order." in page
    assert "in the item vectors of dislikes as input, with memory, which is another model" in page
    assert "<code>responsiveness</code> has left no numbers" not in page


def test_a_page_without_them_says_what_is_missing_and_only_where_they_were_wanted(tmp_path: Path) -> None:
    run = empty_run(tmp_path)
    assert "<code>responsiveness</code> has left no numbers" in render(gather(run), {})
    write(run / "pipeline.json", {**pipeline.get_config("tiny").to_dict(), "experiments": {}})
    assert "More than one no" not in render(gather(run), {})
