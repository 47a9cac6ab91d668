"""When a model passes the gate, and what the verdict says where it does not."""

import json

import pytest

from runtime.errors import DataError, UsageError
from simulation.gate import Gate, numbers, shortfall

METRICS = {"no/content": -0.6, "no/creator": -0.4, "no/vectors": 0.9}


@pytest.fixture
def evaluations(tmp_path):
    for name, recall in (("ours", 0.194), ("theirs", 0.2), ("nothing", None)):
        metrics = {"mrr": 0.1} if recall is None else {"recall@100": recall}
        (tmp_path / f"{name}.json").write_text(json.dumps(metrics))
    return {name: str(tmp_path / f"{name}.json") for name in ("ours", "theirs", "nothing", "missing")}


def test_content_and_creator_have_to_respond(evaluations):
    verdict = Gate(min_responsiveness=-0.5).judge(METRICS, branch="no")
    assert verdict == {
        "passed": False,
        "checks": [
            {"name": "no/content", "value": -0.6, "limit": -0.5, "passed": True},
            {"name": "no/creator", "value": -0.4, "limit": -0.5, "passed": False},
        ],
    }
    assert shortfall(verdict) == "no/creator is -40.0%, at most -50.0% is asked for"
    assert numbers(verdict) == {
        "gate/passed": 0.0,
        "gate/no/content": -0.6,
        "gate/no/content/limit": -0.5,
        "gate/no/creator": -0.4,
        "gate/no/creator/limit": -0.5,
    }
    assert Gate(min_responsiveness=-0.4).judge(METRICS, branch="no")["passed"]
    # A log without creators is judged by content alone.
    assert Gate(min_responsiveness=-0.5).judge({"no/content": -0.6}, branch="no")["passed"]


@pytest.mark.parametrize(("limit", "passed"), [(0.031, True), (0.029, False)])
def test_recall_may_fall_by_so_much(evaluations, limit, passed):
    gate = Gate(max_recall_loss=limit, evaluation=evaluations["ours"], reference=evaluations["theirs"])
    verdict = gate.judge(METRICS, branch="no")
    (check,) = verdict["checks"]
    assert check["value"] == pytest.approx(1 - 0.194 / 0.2)
    assert verdict["passed"] == passed
    better = Gate(max_recall_loss=0.0, evaluation=evaluations["theirs"], reference=evaluations["ours"])
    assert better.judge(METRICS, branch="no")["passed"]


def test_what_cannot_be_judged_is_said(evaluations):
    with pytest.raises(DataError, match="nothing like the last item was shown at all, so 'no' has none"):
        Gate(min_responsiveness=-0.5).judge({}, branch="no")
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
