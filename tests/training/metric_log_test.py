"""metrics.jsonl is valid JSON with one value a step, whatever happened to the run."""

import json
import math

from training.metric_log import MetricLog


def lines(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_resuming_drops_what_came_after_the_checkpoint(tmp_path):
    with MetricLog(tmp_path) as log:
        log.resume(0)
        for step in (1, 2, 3):
            log.write(step, {"loss": 1.0 / step})
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 1, "name": "lo')  # cut short by a kill
    with MetricLog(tmp_path) as log:
        log.resume(2)
        log.write(3, {"loss": 7.0})
    assert [(line["step"], line["value"]) for line in lines(tmp_path)] == [(1, 1.0), (2, 0.5), (3, 7.0)]


def test_new_run_starts_an_empty_log(tmp_path):
    for _ in range(2):
        with MetricLog(tmp_path) as log:
            log.resume(0)
            log.write(1, {"loss": 1.0})
    assert len(lines(tmp_path)) == 1


def test_numbers_that_json_does_not_have_are_null(tmp_path):
    with MetricLog(tmp_path) as log:
        log.write(1, {"a": math.nan, "b": math.inf, "c": 2})
    assert {line["name"]: line["value"] for line in lines(tmp_path)} == {"a": None, "b": None, "c": 2.0}
    assert "NaN" not in (tmp_path / "metrics.jsonl").read_text()
