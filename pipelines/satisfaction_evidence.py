"""What the stages of satisfaction have left behind, read into plain data; None where a run has no satisfaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines.evidence import Metrics
from pipelines.systems.satisfaction.stages import ABLATIONS, FOLDER, PROTOCOLS
from runtime.artifact import read_json


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One protocol's results."""

    name: str
    train: Metrics  # of all steps, `align/saqrec/valid/mrr`
    test: Metrics  # as satisfaction.evaluate names them
    rows: tuple[str, ...]  # prefixes in `test` of what the main model was compared with
    reliability: Mapping[str, Sequence[float]]  # of the propensities; empty where nothing was weighed by them
    examples: Sequence[Mapping[str, Any]]
    ablations: Metrics  # as satisfaction.ablate names them


@dataclass(frozen=True, kw_only=True)
class SatisfactionEvidence:
    """Each protocol that was run, the one to be shown first."""

    protocols: Sequence[Protocol]


def gather_satisfaction(workdir: Path) -> SatisfactionEvidence | None:
    """Reads WORKDIR/satisfaction. Errors: DataError where a file is broken."""
    folder = workdir / FOLDER
    found = [_protocol(folder / name) for name in PROTOCOLS if (folder / name).is_dir()]
    return SatisfactionEvidence(protocols=found) if found else None


def flat_satisfaction(evidence: SatisfactionEvidence | None) -> dict[str, float]:
    """Every number under one flat name: `satisfaction/leave_one_out/test/item_knn/hr@10`."""
    return {
        f"{FOLDER}/{protocol.name}/{stage}/{name}": value
        for protocol in (evidence.protocols if evidence else ())
        for stage in ("train", "test", ABLATIONS)
        for name, value in getattr(protocol, stage).items()
    }


def _protocol(folder: Path) -> Protocol:
    test = _json(folder / "test" / "metrics.json", {})
    return Protocol(
        name=folder.name,
        train=_json(folder / "train" / "metrics.json", {}),
        test=test,
        rows=tuple(dict.fromkeys(name.split("/")[1] for name in test if name.startswith("gain_over/"))),
        reliability=_json(folder / "train" / "propensity" / "reliability.json", {}),
        examples=_json(folder / "test" / "examples.json", []),
        ablations=_json(folder / ABLATIONS / "metrics.json", {}),
    )


def _json(path: Path, default: Any) -> Any:
    return read_json(path) if path.exists() else default
