"""Predicts satisfaction for all impressions, or for a list of users and items: the work of `satisfaction.score`."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.special import expit

from data import vocabulary
from data.raw import values
from data.timelines import Timelines
from runtime.artifact import checksum, read_json, write_json
from runtime.errors import DataError, UsageError
from runtime.workdir import CONFIG, METRICS, is_complete, open_workdir
from satisfaction.run_folder import config_of
from satisfaction.saqrec.embeddings import BaseEmbeddings
from satisfaction.unbiased.imputed import open_scores
from satisfaction.unbiased.steps import EMBEDDINGS, SATISFACTION, SCORES, Imputation

PAIRS = "satisfaction"  # name of the file of scored pairs, with the suffix of the list


def open_run(run: str | Path, timelines: Timelines, *, flag: str = "--run") -> Imputation:
    """The satisfaction.train workdir `run`.

    Errors: UsageError where its model is not trained, on other data, or by a version whose models read other features:
    the scores, which the training of the model has left beside it, are then of another version too.
    """
    folder = Path(run)
    if not is_complete(folder / SATISFACTION):
        raise UsageError(f"{flag}={run}: no trained satisfaction model here; run satisfaction.train on it first")
    config = config_of(run, timelines, flag)
    open_scores(folder / SCORES, timelines, flag)
    return Imputation(config, timelines, BaseEmbeddings.open(folder / EMBEDDINGS, timelines, flag), folder)


def of_pairs(trained: Imputation, users: NDArray[np.int64], items: NDArray[np.int64]) -> NDArray[np.float64]:
    """ŝ of users [n] and items [n], dense indices, by the trained satisfaction model."""
    return expit(trained.reopen().of(lambda n: trained.features.pairs(users[n], items[n]), np.arange(len(users))))


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
    indices = []
    for name, known in (("user_id", timelines.users["user_id"]), ("item_id", timelines.items["item_id"].slice(1))):
        ids = values.ids(frame[name], f"{path}: column {name}")
        codes = vocabulary.encode(*values.alike(ids, known))
        unknown = np.flatnonzero(codes == 0)
        if len(unknown):
            raise DataError(
                f"{path}: {len(unknown):,} of {len(codes):,} rows have a {name} that --data={timelines.path} does not "
                f"know, the first is '{ids[int(unknown[0])]}' in row {unknown[0] + 1}; leave these rows out"
            )
        indices.append(codes.astype(np.int64))
    return indices[0] - 1, indices[1]


def run(*, data: str, run: str, workdir: str, pairs: str) -> str:
    """Scores into `workdir`; returns the line that says where the result is."""
    timelines = Timelines.open(data)
    frame = read_pairs(pairs) if pairs else None
    indices = None if frame is None else encode_pairs(frame, timelines, path=pairs)
    trained = open_run(run, timelines)
    digest = checksum(Path(pairs).read_bytes()) if pairs else ""
    identity: dict[str, Any] = {
        "run": read_json(Path(run) / CONFIG),
        "timelines": timelines.manifest["files"],
        "pairs": digest,
    }
    folder = open_workdir(workdir, identity)
    target = folder / (f"{PAIRS}{Path(pairs).suffix}" if pairs else SCORES)
    if is_complete(folder):
        return f"already complete: {target}"
    if frame is None or indices is None:
        satisfaction = trained.write_scores(trained.reopen(), target)
    else:
        satisfaction = of_pairs(trained, *indices)
        scored = frame.with_columns(satisfaction=pl.Series(satisfaction.astype(np.float32)))
        scored.write_csv(target) if target.suffix == ".csv" else scored.write_parquet(target)
    write_json(folder / METRICS, {"rows": len(satisfaction), "satisfaction": float(satisfaction.mean())})
    return f"scored {len(satisfaction):,} rows, mean satisfaction {satisfaction.mean():.4f}: {target}"
