"""The gate: whether a model responds well enough, and costs little enough, to be shipped."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from runtime.artifact import read_json
from runtime.errors import DataError, UsageError
from simulation.similarity import KINDS

VERDICT = "verdict.json"
_RECALL = "recall@100"


@dataclass(frozen=True, kw_only=True)
class Gate:
    """What is asked of a model: None asks nothing.

    min_responsiveness: the most that the branch may change similarity by, a relative change, by content and by creator.
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
        """Raises UsageError, naming the flag, where the settings do not fit together; DataError where an evaluation is
        missing."""
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
        if loss is not None:
            for path in (self.evaluation, self.reference):
                _recall(path)

    def judge(self, metrics: Mapping[str, float], *, branch: str) -> dict[str, Any]:
        """The verdict: {"passed", "checks": [{"name", "value", "limit", "passed"}]}, each value at most its limit.

        `metrics` are those of the simulation. Errors: DataError where a figure is missing.
        """
        values: dict[str, tuple[float, float]] = {}
        if self.min_responsiveness is not None:
            measured = [f"{branch}/{kind}" for kind in KINDS if f"{branch}/{kind}" in metrics]
            if not measured:
                raise DataError(
                    f"--min_responsiveness: nothing like the last item was shown at all, so '{branch}' has none"
                )
            values |= {name: (metrics[name], self.min_responsiveness) for name in measured}
        if self.max_recall_loss is not None:
            ours, theirs = _recall(self.evaluation), _recall(self.reference)
            values["recall_loss"] = (1 - ours / theirs if theirs > 0 else 0.0, self.max_recall_loss)
        checks = [
            {"name": name, "value": value, "limit": limit, "passed": value <= limit}
            for name, (value, limit) in values.items()
        ]
        return {"passed": all(check["passed"] for check in checks), "checks": checks}


def numbers(verdict: Mapping[str, Any]) -> dict[str, float]:
    """The verdict as metrics.json has it: `gate/passed` 0 or 1, `gate/<name>` and `gate/<name>/limit`."""
    found = {"gate/passed": float(verdict["passed"])}
    for check in verdict["checks"]:
        found |= {f"gate/{check['name']}": check["value"], f"gate/{check['name']}/limit": check["limit"]}
    return found


def shortfall(verdict: Mapping[str, Any]) -> str:
    """Where the model falls short, in one line; empty where it does not."""
    return "; ".join(
        f"{check['name']} is {check['value']:+.1%}, at most {check['limit']:+.1%} is asked for"
        for check in verdict["checks"]
        if not check["passed"]
    )


def _recall(path: str | None) -> float:
    found = read_json(path or "")
    if _RECALL not in found:
        raise DataError(f"{path}: no {_RECALL}; give a metrics.json of retrieval.evaluate")
    return float(found[_RECALL])
