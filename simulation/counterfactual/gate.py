"""The gate: whether a model answers a "no" well enough, at little enough loss of recall, to be shipped."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runtime.artifact import digest, read_json
from runtime.errors import DataError, UsageError
from runtime.workdir import CONFIG, MODEL
from simulation.counterfactual.similarity import KINDS
from simulation.exported.recommender import Recommender

VERDICT = "verdict.json"
_RECALL = "recall@100"
_COMPARABLE = ("split", "timelines", "positive", "users")  # what two evaluations share where their recalls are compared


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What is asked of a model: None asks nothing.

    min_responsiveness: the relative change to which the branch has to bring similarity down, by content and by creator,
    -0.5 for half. It is asked of the estimate, not of its interval.
    max_recall_loss: the most of the reference's Recall@100 that may be lost; evaluation and reference are the
    metrics.json of retrieval.evaluate, of this model and of the one that it is to replace.
    """

    min_responsiveness: float | None = None
    max_recall_loss: float | None = None
    evaluation: str | None = None
    reference: str | None = None

    @property
    def is_set(self) -> bool:
        return self.min_responsiveness is not None or self.max_recall_loss is not None

    def check(self) -> None:
        """Raises UsageError, naming the flag, where the settings do not fit together or the evaluations are of other
        days or logs; DataError where one is missing."""
        response, loss = self.min_responsiveness, self.max_recall_loss
        if response is not None and not -1 <= response <= 0:
            raise UsageError(
                f"--min_responsiveness={response}: a relative change from -1 to 0; -0.5 asks for half of the similar "
                "items or less"
            )
        if loss is not None and not 0 <= loss <= 1:
            raise UsageError(f"--max_recall_loss={loss}: a share from 0 to 1; 0.02 allows 2% less Recall@100")
        for flag, path in (("evaluation", self.evaluation), ("reference_evaluation", self.reference)):
            if loss is not None and not path:
                raise UsageError(f"--{flag} is required with --max_recall_loss: a metrics.json of retrieval.evaluate")
            if loss is None and path:
                raise UsageError(f"--{flag}={path}: without --max_recall_loss there is nothing to hold it up against")
        if self.evaluation and self.reference:
            for path in (self.evaluation, self.reference):
                _recall(path)
            _refuse_other_days(self.evaluation, self.reference)

    def check_kinds(self, kinds: Collection[str]) -> None:
        """Raises UsageError where, of the similarities that can be measured, none is one that the gate judges by."""
        if self.min_responsiveness is not None and not any(kind in KINDS for kind in kinds):
            raise UsageError(
                f"--min_responsiveness={self.min_responsiveness}: judged by content and by creator, and the item table "
                f"has no {' and no '.join(KINDS.values())} of any item; leave it out, or export a model of timelines "
                "that have one of them"
            )

    def judge(self, metrics: Mapping[str, float], *, branch: str, recommender: Recommender) -> dict[str, Any]:
        """The verdict: {"passed", "checks": [{"name", "value", "limit", "passed"}], ...}, each value at most its limit.

        `metrics` are those of the simulation. The verdict also says what could not be judged and why, {"unjudged":
        {kind: reason}}; and of what it is: "recommender", its fingerprint, "checkpoint", and the sha256 of
        "evaluation" and "reference_evaluation". Errors: DataError where a figure is missing.
        """
        values: dict[str, tuple[float, float]] = {}
        unjudged: dict[str, str] = {}
        if self.min_responsiveness is not None:
            # Figures without bounds are of too few users.
            known = [kind for kind in KINDS if f"{branch}/{kind}/low" in metrics]
            measured = [f"{branch}/{kind}" for kind in known]
            unjudged = {kind: _why_not(kind, metrics, branch) for kind in KINDS if kind not in known}
            if not measured:
                raise DataError(
                    f"--min_responsiveness: '{branch}' cannot be judged: {'; '.join(unjudged.values())}; a larger "
                    "--config.slate_size shows more"
                )
            values |= {name: (metrics[name], self.min_responsiveness) for name in measured}
        judged: dict[str, Any] = {"recommender": recommender.fingerprint, "checkpoint": recommender.checkpoint}
        if self.max_recall_loss is not None and self.evaluation and self.reference:
            model = Path(self.evaluation).with_name(MODEL)
            of = read_json(model)["checkpoint"] if model.is_file() else ""
            if of and recommender.checkpoint and of != recommender.checkpoint:
                raise UsageError(f"--evaluation={self.evaluation}: of another model than --recommender; give its own")
            ours, theirs = _recall(self.evaluation), _recall(self.reference)
            values["recall_loss"] = (1 - ours / theirs if theirs > 0 else 0.0, self.max_recall_loss)
            judged |= {"evaluation": digest(self.evaluation), "reference_evaluation": digest(self.reference)}
        checks = [
            {"name": name, "value": value, "limit": limit, "passed": value <= limit}
            for name, (value, limit) in values.items()
        ]
        return {"passed": all(check["passed"] for check in checks), "checks": checks, "unjudged": unjudged, **judged}


def numbers(verdict: Mapping[str, Any]) -> dict[str, float]:
    """The verdict as metrics.json has it: `gate/passed` 0 or 1, `gate/<name>` and `gate/<name>/limit`."""
    figures = {"gate/passed": float(verdict["passed"])}
    for check in verdict["checks"]:
        figures |= {f"gate/{check['name']}": check["value"], f"gate/{check['name']}/limit": check["limit"]}
    return figures


def shortfall(verdict: Mapping[str, Any]) -> str:
    """Where the model falls short, in one line; empty where it does not."""
    return "; ".join(
        f"{check['name']} is {check['value']:+.1%}, at most {check['limit']:+.1%} is asked for"
        for check in verdict["checks"]
        if not check["passed"]
    )


def _why_not(kind: str, metrics: Mapping[str, float], branch: str) -> str:
    if f"{branch}/{kind}" in metrics:
        return f"no {kind}: {metrics[f'users/{kind}']:.0f} users are too few"
    if f"users/{kind}" not in metrics:
        return f"no {kind}: the item table has no {KINDS[kind]} of any item"
    return f"no {kind}: nothing of the last item's {KINDS[kind]} was shown even without the branch"


def _refuse_other_days(evaluation: str, reference: str) -> None:
    # retrieval.evaluate writes beside its metrics what they are of.
    ours, theirs = (read_json(Path(path).with_name(CONFIG)) for path in (evaluation, reference))
    for name in _COMPARABLE:
        if ours.get(name) != theirs.get(name):
            shown = "" if name == "timelines" else f": {theirs.get(name)!r} there, {ours.get(name)!r} in --evaluation"
            raise UsageError(
                f"--reference_evaluation={reference}: of other {name} than --evaluation{shown}; evaluate both models "
                "alike"
            )
    if ours.get("checkpoint", "ours") == theirs.get("checkpoint", "theirs"):
        raise UsageError(f"--reference_evaluation={reference}: of the same model as --evaluation; give the other's")


def _recall(path: str) -> float:
    metrics = read_json(path)
    if _RECALL not in metrics:
        raise DataError(f"{path}: no {_RECALL}; give a metrics.json of retrieval.evaluate")
    return float(metrics[_RECALL])
