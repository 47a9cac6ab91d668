"""The satisfaction section on made-up numbers, and its stages."""

import json
from pathlib import Path

import pytest

from configs import pipeline
from pipelines.evidence import gather
from pipelines.page import render
from pipelines.satisfaction_evidence import flat_satisfaction, gather_satisfaction
from pipelines.satisfaction_stages import satisfaction_stages
from pipelines.satisfaction_tables import gains, groups, rows, sentences

METRICS = ("hr@1", "hr@5", "hr@10", "ndcg@5", "ndcg@10", "mrr", "full/hr@10", "full/mrr")


def with_bounds(name, value, half=0.01):
    return {name: value, f"{name}/low": value - half, f"{name}/high": value + half}


def write(path: Path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


@pytest.fixture
def workdir(tmp_path):
    write(tmp_path / "pipeline.json", pipeline.get_config("tiny").to_dict())
    folder = tmp_path / "satisfaction" / "leave_one_out"
    test = {"users": 40.0, "items": 90.0, "level_weight/1": 0.31, "level_weight/2": -0.12}
    for prefix, value in (("", 0.5), ("item_knn/", 0.4), ("gru_softmax/", 0.45), ("popularity/", 0.6)):
        for metric in METRICS:
            test |= with_bounds(prefix + metric, value)
        for group in ("G1", "G2", "G3", "G4"):
            test |= with_bounds(f"{prefix}{group}/hr@10", value)
    for name, gain in (("item_knn", 0.1), ("gru_softmax", 0.005), ("popularity", -0.1)):
        for metric in METRICS:
            test |= with_bounds(f"gain_over/{name}/{metric}", gain)
    write(folder / "test" / "metrics.json", test)
    click = {"item": 77, "cluster": None, "reactions": ["long_view"], "satisfaction": 0.812, "level": 1}
    write(folder / "test" / "examples.json", [{"user": 5, "clicks": [click]}])
    write(folder / "train" / "metrics.json", {"align/saqrec/valid/mrr": 0.26})
    write(folder / "train" / "propensity" / "reliability.json", {"predicted": [0.1, 0.2], "observed": [0.12, 0.19]})
    return tmp_path


def test_rows_end_with_the_main_model(workdir):
    (protocol,) = gather_satisfaction(workdir).protocols
    table = rows(protocol)
    assert [row.label for row in table] == ["Item-kNN", "GRU, exact softmax", "Popularity", "SAQRec"]
    assert [row.emphasis for row in table] == [False, False, False, True]
    assert [point.value for point in table[-1].cells] == [0.5] * 8
    assert [point.value for point in gains(protocol)[0].cells] == [0.1] * 8
    assert [point.value for point in groups(protocol)[0].cells] == [0.4] * 4


def test_sentences_say_what_the_intervals_bear_out(workdir):
    (protocol,) = gather_satisfaction(workdir).protocols
    ahead, level, behind = sentences(protocol)
    assert ahead == "In MRR SAQRec is ahead of Item-kNN (by +0.1000, 95% interval +0.0900 to +0.1100)."
    assert level.startswith("It cannot be told from GRU, exact softmax")
    assert behind.startswith("It is behind Popularity (by −0.1000")


def test_the_page_shows_the_section(workdir):
    page = render(gather(workdir), {}, satisfaction=gather_satisfaction(workdir))
    section = page.partition('<section id="satisfaction">')[2].partition("</section>")[0]
    for shown in ("40 users, 90 items", "Item 77", "0.812", "long view", "Mean weight", "Share that answered"):
        assert shown in section
    numbers = flat_satisfaction(gather_satisfaction(workdir))
    assert numbers["satisfaction/leave_one_out/test/item_knn/hr@10"] == 0.4
    assert numbers["satisfaction/leave_one_out/train/align/saqrec/valid/mrr"] == 0.26


def test_a_run_without_satisfaction_still_gives_a_page(tmp_path):
    write(tmp_path / "pipeline.json", pipeline.get_config("tiny").to_dict())
    assert gather_satisfaction(tmp_path) is None
    assert flat_satisfaction(None) == {}
    section = render(gather(tmp_path), {}).partition('<section id="satisfaction">')[2].partition("</section>")[0]
    assert "Not measured in this run" in section


def test_a_run_that_was_cut_short_says_what_is_missing(workdir):
    (workdir / "satisfaction" / "leave_one_out" / "test" / "metrics.json").unlink()
    page = render(gather(workdir), {}, satisfaction=gather_satisfaction(workdir))
    assert "satisfaction/leave_one_out/test" in page


def test_stages_train_then_measure_under_each_protocol(tmp_path):
    config = pipeline.get_config("tiny")
    with config.unlocked():
        config.satisfaction = ""
        assert satisfaction_stages(config, tmp_path, tmp_path / "timelines") == []
        config.satisfaction, config.satisfaction_protocols = "tiny", ("leave_one_out", "time")
    stages = satisfaction_stages(config, tmp_path, tmp_path / "timelines")
    assert [stage.name for stage in stages] == [
        "satisfaction/leave_one_out/train",
        "satisfaction/leave_one_out/test",
        "satisfaction/time/train",
        "satisfaction/time/test",
    ]
    train, test = stages[2:]
    assert train.flags == ("--config.protocol=time", "--config.align.refit=True", f"--data={tmp_path / 'timelines'}")
    assert train.config == "configs/satisfaction.py:tiny"
    assert set(train.outputs) < set(test.inputs)
