"""What the stages of ranking have left behind, read into plain data; None where a run has no ranking."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.evidence import Curves, Metrics, read_curves
from pipelines.systems.ranking.stages import ALIGNED_FOLDER, FOLDER, FULL
from runtime.artifact import read_json

_BASELINES = ("lightgbm", "popularity", "ceiling")


@dataclass(frozen=True, kw_only=True)
class RankingEvidence:
    """The ranker's results. `test` and `validate` hold every row's figures, as ranking.evaluate names them."""

    tasks: tuple[str, ...]
    rows: tuple[str, ...]  # names of what the ranker was compared with on the test days
    train: Mapping[str, Metrics]  # variant -> metrics
    curves: Mapping[str, Curves]  # variant -> training curves
    validate: Metrics
    test: Metrics
    reliability: Mapping[str, Any]
    fusion: Mapping[str, Any]  # curves.json of the test days
    aligned: Metrics  # of the aligned ranker, on the validation days
    aligned_gamma: Mapping[str, float]  # task -> γ of the aligned ranker


def gather_ranking(workdir: Path) -> RankingEvidence | None:
    """Reads WORKDIR/ranking. Errors: DataError where a file is broken."""
    folder = workdir / FOLDER
    if not folder.is_dir():
        return None
    trained = sorted(path.parent for path in (folder / "train").glob("*/metrics.json"))
    config = _json(folder / "train" / FULL / "config.json")
    test, curves = _json(folder / "test" / "metrics.json"), _json(folder / "test" / "curves.json")
    aligned = folder / ALIGNED_FOLDER / "validate"
    named = [name for name in curves.get("gamma", {}) if name != "model"]
    return RankingEvidence(
        tasks=tuple(config.get("config", {}).get("tasks", curves.get("gamma", {}).get("model", ()))),
        rows=(*(name for name in named if name not in _BASELINES), *(name for name in _BASELINES if name in named)),
        train={path.name: _json(path / "metrics.json") for path in trained},
        curves={path.name: read_curves(path / "metrics.jsonl") for path in trained},
        validate=_json(folder / "validate" / "metrics.json"),
        test=test,
        reliability=_json(folder / "test" / "reliability.json"),
        fusion=curves,
        aligned=_json(aligned / "metrics.json"),
        aligned_gamma=_json(aligned / "curves.json").get("gamma", {}).get("model", {}),
    )


def flat_ranking(evidence: RankingEvidence | None) -> dict[str, float]:
    """Every number under one flat name: `ranking/test/lightgbm/EVV/auc`."""
    if evidence is None:
        return {}
    numbers = {f"ranking/train/{name}/{k}": v for name, train in evidence.train.items() for k, v in train.items()}
    numbers |= {f"ranking/validate/{k}": v for k, v in evidence.validate.items()}
    numbers |= {f"ranking/{ALIGNED_FOLDER}/validate/{k}": v for k, v in evidence.aligned.items()}
    return numbers | {f"ranking/test/{k}": v for k, v in evidence.test.items()}


def _json(path: Path) -> Any:
    return read_json(path) if path.exists() else {}
