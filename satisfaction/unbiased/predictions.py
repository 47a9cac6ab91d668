"""Scores with a trained satisfaction model: every impression of the timelines, or a list of users and items."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from ml_collections import ConfigDict
from numpy.typing import NDArray

from data import vocabulary
from data.raw import values
from data.timelines import Timelines
from runtime.artifact import checksum, read_json, write_json
from runtime.errors import DataError, UsageError
from runtime.workdir import CONFIG, METRICS, is_complete, open_workdir
from satisfaction import run as training
from satisfaction.saqrec.embeddings import BaseEmbeddings
from satisfaction.unbiased import imputed, satisfaction_model
from satisfaction.unbiased.features import PairFeatures
from satisfaction.unbiased.fitting import Fitted

PAIRS = "satisfaction"  # name of the file of scored pairs, with the suffix of the list


@dataclasses.dataclass(frozen=True)
class Scorer:
    """A trained satisfaction model on the users and items of its timelines."""

    config: ConfigDict
    timelines: Timelines
    embeddings: BaseEmbeddings
    features: PairFeatures
    fitted: Fitted
    folder: Path

    def satisfaction(self) -> NDArray[np.float64]:
        """ŝ of every impression, [E]."""
        return _sigmoid(self.fitted.events(self.features, np.arange(len(self.timelines.item))))

    def propensity(self) -> NDArray[np.float64]:
        """ô of every impression, [E]; see `training.propensities_of`."""
        return training.propensities_of(self.config, self.timelines, self.embeddings, self.folder)

    def pairs(self, users: NDArray[np.int64], items: NDArray[np.int64], *, chunk: int = 1 << 14) -> NDArray[np.float64]:
        """ŝ of users [B] and items [B], dense indices."""
        parts = [
            self.fitted.logits(self.features.pairs(users[start : start + chunk], items[start : start + chunk]))
            for start in range(0, len(users), chunk)
        ]
        return _sigmoid(np.concatenate(parts)) if parts else np.zeros(0)


def load(run: str | Path, timelines: Timelines, *, flag: str = "--run") -> Scorer:
    """The model of the satisfaction.train workdir `run`. Errors: UsageError where it is not done, or of other data."""
    folder = Path(run)
    if not is_complete(folder / "satisfaction"):
        raise UsageError(f"{flag}={run}: no trained satisfaction model here; run satisfaction.train on it first")
    saved = read_json(folder / CONFIG)
    config = ConfigDict(saved["config"])
    embeddings = BaseEmbeddings.open(folder / training.EMBEDDINGS, timelines, flag)
    features = training.features_of(config, timelines, embeddings)
    prior = read_json(folder / "satisfaction" / METRICS)["prior"]
    fitted = satisfaction_model.reopen(config, features, prior_logit=prior, folder=folder / "satisfaction")
    return Scorer(config, timelines, embeddings, features, fitted, folder)


def read_pairs(path: str | Path) -> pl.DataFrame:
    """The list at `path`, Parquet or CSV with user_id and item_id; errors: UsageError for other files and columns."""
    file = Path(path)
    if not file.is_file():
        raise UsageError(f"--pairs={path}: no such file")
    if file.suffix not in (".parquet", ".csv"):
        raise UsageError(f"--pairs={path}: a .parquet or .csv file with columns user_id and item_id")
    try:
        if file.suffix == ".csv":  # ids as they are written: 007 is not 7
            frame = pl.read_csv(file, glob=False, schema_overrides=dict.fromkeys(("user_id", "item_id"), pl.String))
        else:
            frame = pl.read_parquet(file, glob=False)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: cannot be read ({str(error).splitlines()[0]}); write it again") from None
    for name in ("user_id", "item_id"):
        if name not in frame.columns:
            raise DataError(f"{path}: no column {name}, only {', '.join(frame.columns)}")
    if frame.is_empty():
        raise DataError(f"{path}: no rows; nothing to score")
    return frame


def encode_pairs(
    frame: pl.DataFrame, timelines: Timelines, *, path: str | Path
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(user indices, item indices) of the rows; errors: DataError names the first unknown id and its row."""
    found = []
    for name, known in (("user_id", timelines.users["user_id"]), ("item_id", timelines.items["item_id"].slice(1))):
        ids = values.ids(frame[name], f"{path}: column {name}")
        codes = vocabulary.encode(*values.alike(ids, known))
        unknown = np.flatnonzero(codes == 0)
        if len(unknown):
            raise DataError(
                f"{path}: {len(unknown):,} of {len(codes):,} rows have a {name} that --data={timelines.path} does not "
                f"know, the first is '{ids[int(unknown[0])]}' in row {unknown[0] + 1}; leave these rows out"
            )
        found.append(codes.astype(np.int64))
    return found[0] - 1, found[1]


def run(*, data: str, run: str, workdir: str, pairs: str) -> str:
    """Scores into `workdir`; returns the line that says where the result is."""
    timelines = Timelines.open(data)
    frame = read_pairs(pairs) if pairs else None
    indices = None if frame is None else encode_pairs(frame, timelines, path=pairs)
    scorer = load(run, timelines)
    digest = checksum(Path(pairs).read_bytes()) if pairs else ""
    identity: dict[str, Any] = {
        "run": read_json(Path(run) / CONFIG),
        "timelines": timelines.manifest["files"],
        "pairs": digest,
    }
    folder = open_workdir(workdir, identity)
    target = folder / (f"{PAIRS}{Path(pairs).suffix}" if pairs else training.SCORES)
    if is_complete(folder):
        return f"already complete: {target}"
    if frame is None or indices is None:
        satisfaction = scorer.satisfaction()
        options = scorer.config.satisfaction
        imputed.write(
            target,
            timelines,
            satisfaction=satisfaction,
            propensity=scorer.propensity(),
            method=options.estimator,
            clip=options.clip,
        )
    else:
        satisfaction = scorer.pairs(*indices)
        scored = frame.with_columns(satisfaction=pl.Series(satisfaction.astype(np.float32)))
        scored.write_csv(target) if target.suffix == ".csv" else scored.write_parquet(target)
    write_json(folder / METRICS, {"rows": len(satisfaction), "satisfaction": float(satisfaction.mean())})
    return f"scored {len(satisfaction):,} rows, mean satisfaction {satisfaction.mean():.4f}: {target}"


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.exp(-np.logaddexp(0.0, -logits))
