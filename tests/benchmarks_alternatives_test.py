"""The comparison of objectives: what its rows run, what it reads of them, and that divergence is one of its results."""

import json
from pathlib import Path

import pytest

from benchmarks import alternatives_runs, alternatives_table
from benchmarks.alternatives_runs import Row, collect, curve, graph, rows, run
from configs.alternatives import get_config
from configs.retrieval import get_config as retrieval_config
from runtime.artifact import write_json


def write(path: Path, value) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, value)


def row_in(folder: Path, signals="negative_weight", weight=1.0) -> Row:
    return Row(signals=signals, weight=weight, workdir=folder)


@pytest.mark.parametrize("size", ["demo", "tiny"])
def test_every_row_is_a_config_of_retrieval_with_its_files_in_order(size, tmp_path):
    config = get_config(size)
    chosen = rows(config, tmp_path)
    assert len({row.name for row in chosen}) == len(chosen) == 10
    for row in chosen:
        signals = retrieval_config(f"{size},{row.signals}")
        assert (row.weight is None) == (not signals.negative)
        known: set[Path] = set()
        for stage in graph(config, row):
            assert set(stage.inputs) <= known
            known |= set(stage.outputs)
    train = next(stage for stage in graph(config, row_in(tmp_path, weight=0.1)) if stage.name.startswith("train/"))
    assert "--config.negative_weight=0.1" in train.flags
    with pytest.raises(ValueError, match="no comparison 'huge'; there are demo, tiny"):
        get_config("huge")


def test_a_finished_row_has_the_numbers_of_its_stages(tmp_path):
    row = row_in(tmp_path)
    write(row.folder("train") / "metrics.json", {"steps": 9, "grad_norm/p99": 4.0, "labels_per_second": 1.0})
    write(row.folder("test") / "metrics.json", {"recall@100": 0.3, "recall@100/low": 0.2, "mrr": 0.1})
    simulated = {"long_watch+dislike/content": -0.5, "skip/content": -0.1}
    write(row.folder("counterfactual") / "metrics.json", simulated)
    found = collect(row)
    assert found == {
        "steps": 9,
        "grad_norm/p99": 4.0,
        "recall@100": 0.3,
        "recall@100/low": 0.2,
        "long_watch+dislike/content": -0.5,
    }
    assert alternatives_table.cells(found) == ["-50.0%", "–", "0.300", "–", "4", "–", "–", "no"]


class FailingEngine:
    """Stands where the engine does: a training that ends with a status, and leaves diverged.json or nothing."""

    status, diverges = 3, True

    def __init__(self, stages, *, folder, lock):
        self._train = next(stage for stage in stages if stage.name.startswith("train/"))

    def run(self, names, *, alone, force):
        if self.diverges:
            write(self._train.folder / "diverged.json", {"step": 70, "grad_norm/max": 1e30})
        return self.status


def test_that_a_training_diverged_is_a_result_and_another_failure_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(alternatives_runs, "Engine", FailingEngine)
    config, row = get_config("tiny"), row_in(tmp_path)
    assert run(config, row, state=tmp_path, lock=0) == 0
    assert collect(row) == {"diverged_at_step": 70, "grad_norm/max": 1e30}
    assert alternatives_table.cells(collect(row))[-2:] == ["–", "at step 70"]
    # Another time it fails otherwise: what an earlier run left is not taken for this one's.
    monkeypatch.setattr(FailingEngine, "diverges", False)
    assert run(config, row, state=tmp_path, lock=0) == 3
    monkeypatch.setattr(FailingEngine, "diverges", True)
    monkeypatch.setattr(FailingEngine, "status", 2)
    assert run(config, row, state=tmp_path, lock=0) == 2


def test_the_page_draws_what_was_logged_and_survives_what_was_not(tmp_path):
    chosen = [row_in(tmp_path), row_in(tmp_path, "dislike_input", None)]
    log = chosen[0].folder("train") / "metrics.jsonl"
    log.parent.mkdir(parents=True)
    values = [(50, 2.0), (100, None), (150, 40.0)]
    lines = [{"step": step, "name": "train/grad_norm_max", "value": value} for step, value in values]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert curve(chosen[0], "train/grad_norm_max") == [(50, 2.0), (150, 40.0)]
    assert curve(chosen[1], "train/grad_norm_max") == []
    page = alternatives_table.page({row.name: {"recall@100": 0.25} for row in chosen}, chosen)
    assert page.count("<svg") == 2
    assert "<td>negative_weight-w1</td><td>–</td><td>–</td><td>0.250</td>" in page
    printed = alternatives_table.table({row.name: {"recall@100": 0.25} for row in chosen}).splitlines()
    assert len(printed) == 3
    assert "recall@100" in printed[0]
