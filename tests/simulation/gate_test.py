"""When a model passes the gate, and what the verdict says where it does not."""

import hashlib
import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from data.events_read import Reading
from runtime.errors import DataError, UsageError
from simulation.counterfactual.gate import Gate, numbers, shortfall
from simulation.exported.recommender import Recommender

METRICS = {"no/content": -0.6, "no/creator": -0.4, "no/vectors": 0.9, "users/content": 90, "users/creator": 90}
METRICS |= {f"no/{kind}/{bound}": -0.5 for kind in ("content", "creator") for bound in ("low", "high")}
NO_CREATOR = {"no/content": -0.6, "no/content/low": -0.7, "users/content": 90}
OURS = Recommender(
    lambda b: b,
    lambda *state: state,
    np.zeros((2, 1)),
    pl.DataFrame(),
    reading=Reading(8),
    fingerprint="ours",
    checkpoint="run 1",
)


@pytest.fixture
def evaluations(tmp_path):
    of = {"split": "test", "timelines": {"item.npy": {"crc32": 1}}, "positive": ["like"], "users": 20_000}
    of["checkpoint"] = "any"
    found = {
        "ours": (0.194, {}),
        "theirs": (0.2, {"checkpoint": "another"}),
        "same": (0.2, {}),
        "others": (0.194, {}),
        "nothing": (None, {}),
        "other_days": (0.2, {"split": "valid"}),
        "other_log": (0.2, {"timelines": {}}),
        "other_users": (0.2, {"users": 200}),
    }
    for name, (recall, difference) in found.items():
        (tmp_path / name).mkdir()
        metrics = {"mrr": 0.1} if recall is None else {"recall@100": recall}
        (tmp_path / name / "metrics.json").write_text(json.dumps(metrics))
        (tmp_path / name / "config.json").write_text(json.dumps({**of, **difference}))
    for name, run in (("ours", "run 1"), ("others", "run 2")):
        (tmp_path / name / "model.json").write_text(json.dumps({"checkpoint": run}))
    return {name: str(tmp_path / name / "metrics.json") for name in (*found, "missing")}


def judge(gate, metrics=METRICS):
    return gate.judge(metrics, branch="no", recommender=OURS)


def test_content_and_creator_have_to_respond(evaluations):
    verdict = judge(Gate(min_responsiveness=-0.5))
    assert verdict == {
        "passed": False,
        "checks": [
            {"name": "no/content", "value": -0.6, "limit": -0.5, "passed": True},
            {"name": "no/creator", "value": -0.4, "limit": -0.5, "passed": False},
        ],
        "unjudged": {},
        "recommender": "ours",
        "checkpoint": "run 1",
    }
    assert shortfall(verdict) == "no/creator is -40.0%, at most -50.0% is asked for"
    assert numbers(verdict) == {
        "gate/passed": 0.0,
        "gate/no/content": -0.6,
        "gate/no/content/limit": -0.5,
        "gate/no/creator": -0.4,
        "gate/no/creator/limit": -0.5,
    }
    assert judge(Gate(min_responsiveness=-0.4))["passed"]


def test_what_is_not_known_of_items_is_not_judged_and_said():
    verdict = judge(Gate(min_responsiveness=-0.5), NO_CREATOR)
    assert verdict["passed"]
    assert verdict["unjudged"] == {"creator": "no creator: the item table has no creator of any item"}
    verdict = judge(Gate(min_responsiveness=-0.5), {**NO_CREATOR, "users/creator": 9})
    assert verdict["unjudged"] == {
        "creator": "no creator: nothing of the last item's creator was shown even without the branch"
    }
    assert judge(Gate(max_recall_loss=None), NO_CREATOR)["unjudged"] == {}


def test_a_log_without_clusters_and_creators_is_refused_before_anything_is_simulated():
    gate = Gate(min_responsiveness=-0.5)
    gate.check_kinds({"creator", "vectors"})
    Gate(max_recall_loss=0.1).check_kinds({"vectors"})
    with pytest.raises(UsageError, match=r"--min_responsiveness=-0.5: .* has no cluster and no creator of any item"):
        gate.check_kinds({"vectors"})


@pytest.mark.parametrize(("limit", "passed"), [(0.031, True), (0.029, False)])
def test_recall_may_fall_by_so_much(evaluations, limit, passed):
    gate = Gate(max_recall_loss=limit, evaluation=evaluations["ours"], reference=evaluations["theirs"])
    gate.check()
    verdict = judge(gate)
    (check,) = verdict["checks"]
    assert check["value"] == pytest.approx(1 - 0.194 / 0.2)
    assert verdict["passed"] == passed
    for name, path in (("evaluation", "ours"), ("reference_evaluation", "theirs")):
        assert verdict[name] == hashlib.sha256(Path(evaluations[path]).read_bytes()).hexdigest()
    better = Gate(max_recall_loss=0.0, evaluation=evaluations["theirs"], reference=evaluations["ours"])
    assert judge(better)["passed"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("same", "of the same model as --evaluation; give the other's"),
        ("other_days", "other split than --evaluation: 'valid' there, 'test' in --evaluation; evaluate both"),
        ("other_log", "other timelines than --evaluation; evaluate both"),
        ("other_users", "other users than --evaluation: 200 there, 20000 in --evaluation; evaluate both"),
    ],
)
def test_recalls_of_other_days_or_logs_are_not_compared(evaluations, name, message):
    gate = Gate(max_recall_loss=0.02, evaluation=evaluations["ours"], reference=evaluations[name])
    with pytest.raises(UsageError, match=message):
        gate.check()


def test_an_evaluation_of_another_model_judges_none(evaluations):
    gate = Gate(max_recall_loss=0.1, evaluation=evaluations["others"], reference=evaluations["theirs"])
    gate.check()
    with pytest.raises(UsageError, match=r"--evaluation=.*others/metrics.json: of another model than --recommender"):
        judge(gate)


def test_a_handful_of_users_is_not_judged():
    few = {name: value for name, value in METRICS.items() if not name.startswith("no/content/")} | {"users/content": 4}
    verdict = judge(Gate(min_responsiveness=-0.3), few)
    assert [check["name"] for check in verdict["checks"]] == ["no/creator"]
    assert verdict["unjudged"] == {"content": "no content: 4 users are too few"}


def test_what_cannot_be_judged_is_said(evaluations):
    with pytest.raises(
        DataError, match=r"'no' cannot be judged: no content: nothing of .*; no creator: the item table"
    ):
        judge(Gate(min_responsiveness=-0.5), {"users/content": 9})
    for name, message in (("nothing", "no recall@100"), ("missing", "no such file; run the stage")):
        gate = Gate(max_recall_loss=0.02, evaluation=evaluations["ours"], reference=evaluations[name])
        with pytest.raises(DataError, match=message):
            gate.check()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"min_responsiveness": 0.5}, "--min_responsiveness=0.5: a relative change from -1 to 0"),
        ({"min_responsiveness": float("nan")}, "--min_responsiveness=nan"),
        ({"max_recall_loss": 2.0}, "--max_recall_loss=2.0: a share from 0 to 1"),
        ({"max_recall_loss": 0.02}, "--evaluation is required"),
        ({"max_recall_loss": 0.02, "evaluation": "m.json"}, "--reference_evaluation is required"),
        ({"evaluation": "m.json"}, "--evaluation=m.json: without --max_recall_loss"),
    ],
)
def test_flags_that_do_not_fit(flags, message):
    with pytest.raises(UsageError) as error:
        Gate(**flags).check()
    assert message in str(error.value)
    assert not Gate().is_set
