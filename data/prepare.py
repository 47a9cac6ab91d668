"""Turns a raw log into timelines, the artifact that every later stage reads.

    python -m data.prepare --config=configs/data.py:kuairand_pure --data=KuaiRand-Pure --workdir=runs/timelines
    python -m data.prepare --config=configs/data.py:tables --data=my_tables --workdir=runs/timelines

Every row is checked before anything is written. A bad one ends the run with its file, row, column and value; with
--quarantine it goes to WORKDIR/quarantine.csv instead and the run goes on, unless such rows are more than
--max_quarantine of a table. A time after now is bad.

Of one's own log schema.yaml, beside it or as --schema, says what its columns are; python -m data.inspect writes a first
one.

Validation and test begin where --config.valid_start and --config.test_start say, or the dataset's reader. Else the last
tenth of the log's time is test and the one before it validation, or the last tenths of its events where one of these
stretches of time holds under a twentieth or over a fifth of them, as where the log has a gap (--config.valid_share and
--config.test_share set other shares than a tenth).

Said at the end: what became of the rows, which columns were read and which were not, how often each kind of feedback
comes up, and what looks wrong about the log as a whole.
"""

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from data import readers
from runtime import app
from runtime.config import define_config
from runtime.errors import DataError, UsageError
from runtime.paths import define_path

with app.flag_mistakes():
    _DATASETS = readers.datasets()
_KNOWN = "; ".join(f"{name} ({dataset.description})" for name, dataset in _DATASETS.items())
_CONFIG = define_config("configs/data.py:kuairand_pure", f"The log and its split, configs/data.py:NAME: {_KNOWN}.")
_DATASET = flags.DEFINE_enum("dataset", None, list(_DATASETS), "The log's name, where it is not the config's.")
_DATA = define_path(
    "data", None, "Folder of the log: as its dataset is published, or your own tables, events.csv, say.", required=True
)
_WORKDIR = define_path("workdir", None, "Folder for the timelines: new or empty.", required=True)
_SCHEMA = define_path(
    "schema",
    None,
    "What the columns of one's own log are: a file like schema.yaml, which is read where it is in --data.",
)
_QUARANTINE = flags.DEFINE_bool("quarantine", False, "Set bad rows aside in quarantine.csv instead of stopping.")
_MAX_QUARANTINE = flags.DEFINE_string(
    "max_quarantine", "1%", "With --quarantine: the largest share of a table's rows that may be bad, like 1% or 0.01."
)
_SHARD_ROWS = flags.DEFINE_integer(
    "shard_rows",
    1 << 22,
    "A log of more rows is prepared in shards of at most so many, one of which at a time is in memory: some 300 bytes "
    "a row; its users lie by shard.",
    lower_bound=1,
)
_RUNNER = flags.DEFINE_string(
    "runner",
    "",
    "Apache Beam's runner that orders and writes the shards, such as DirectRunner, FlinkRunner; empty: one after the "
    "other, here. Needs requirements-beam.txt, and a --workdir that all workers see.",
)
_BEAM_OPTIONS = flags.DEFINE_multi_string("beam_option", [], "An option of Beam, such as --direct_num_workers=2.")
_DOWNLOAD = flags.DEFINE_bool("download", False, "Fetch the dataset into --data first, where it is not there.")


def moments(config: Mapping[str, Any], dataset: readers.Dataset) -> dict[str, Any]:
    """Where validation and test begin, in milliseconds: the config's word, else the dataset's, else None.

    Errors: UsageError where the config's is no time.
    """
    from data import clock

    milliseconds = {}
    for name, of_dataset in (("valid_start", dataset.valid_start), ("test_start", dataset.test_start)):
        text = config[name] or of_dataset
        try:
            milliseconds[f"{name}_ms"] = clock.parse(text) if text else None
        except ValueError:
            raise UsageError(f"--config.{name}={text}: no time; write it like 2022-05-03T00:00+08:00") from None
    return milliseconds


def shares(config: Mapping[str, Any]) -> dict[str, float]:
    """How much of the log is for validation and for test. Errors: UsageError where nothing is left to learn from."""
    of = {name: float(config[name]) for name in ("valid_share", "test_share")}
    for name, value in of.items():
        if not 0 < value < 1:
            raise UsageError(f"--config.{name}={value:g}: no share of the log between 0 and 1, such as 0.1")
    if sum(of.values()) >= 1:
        raise UsageError("--config.valid_share and --config.test_share leave nothing to learn from; lower one of them")
    return of


def share(text: str) -> float:
    """`1%` or `0.01` as a number. Errors: UsageError where it is no share."""
    try:
        number = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1:
        raise UsageError(f"--max_quarantine={text}: no share of the rows; write it like 1% or 0.01")
    return number


def fetched(dataset: readers.Dataset, folder: Path, **options: Any) -> Path:
    """Where the dataset's files lie once they are in `folder`. Errors: UsageError where it cannot be downloaded."""
    if dataset.download is None:
        able = ", ".join(name for name, other in _DATASETS.items() if other.download)
        raise UsageError(f"--download: there is no download for --dataset={dataset.name}, only for {able}")
    return dataset.download(folder, **options)


def fingerprints(files: Sequence[Path], folder: Path) -> dict[str, str]:
    """sha256 of each file, by its path in `folder`, or its name elsewhere: what a finished workdir is compared with.

    Errors: DataError for a missing file.
    """
    from runtime.artifact import digest

    for path in files:
        if not path.is_file():
            raise DataError(f"{path}: no such file; check --data, or put the file there")
    return {
        path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name: digest(path)
        for path in files
    }


def is_prepared(workdir: Path, identity: dict[str, Any]) -> bool:
    """True where `workdir` holds whole timelines of this config and log; False where it is new, empty or damaged.

    Errors: UsageError where it holds those of another config or log, or files that are no timelines.
    """
    from data import timelines
    from runtime.artifact import LOST_AND_FOUND, PARTIAL, SCRATCH, open_manifest
    from runtime.lock import LOCK
    from runtime.workdir import CONFIG, is_complete, open_workdir

    if os.path.lexists(workdir) and not workdir.is_dir():
        raise UsageError(f"--workdir={workdir}: a file, or a link to nothing; give a new or empty folder")
    if not (workdir / CONFIG).is_file():
        there = {path.name for path in workdir.iterdir()} if workdir.is_dir() else set()
        # What was being written when a run was killed, and a file system's own, stand in nobody's way.
        if there - {LOST_AND_FOUND, SCRATCH, LOCK} and PARTIAL not in there:
            raise UsageError(f"--workdir={workdir}: holds other files; give a new or empty folder")
        return False
    open_workdir(workdir, identity)
    if not is_complete(workdir):
        return False
    try:
        open_manifest(workdir, kind=timelines.KIND, version=timelines.VERSION, flag="--workdir")
    except (DataError, UsageError) as error:
        print(f"{error}: preparing again")
        return False
    return True


def main(argv: Sequence[str]) -> int | None:
    """Reads, checks, assembles, writes, and says what became of every row."""
    del argv
    # Imported here so that --help does not wait for them.
    from data import assembly
    from data.raw import quarantine
    from data.shards import beam
    from data.shards.gathered import one_by_one
    from runtime.artifact import scratch
    from runtime.lock import one_writer
    from runtime.workdir import CONFIG, METRICS

    config = _CONFIG.value.to_dict()
    try:
        dataset = readers.named(_DATASET.value or config["dataset"])
    except ValueError as error:
        raise UsageError(f"--config.dataset: {error}") from None
    config["dataset"] = dataset.name
    folder, workdir = Path(_DATA.value), Path(_WORKDIR.value)
    boundaries = {**moments(config, dataset), **shares(config)}
    max_share = share(_MAX_QUARANTINE.value)
    if _RUNNER.value:
        beam.check(_RUNNER.value)
    if config["min_item_count"] < 0:
        raise UsageError(f"--config.min_item_count={config['min_item_count']}: no number of events; 0 keeps all items")
    options = {name: config.get(name, default) for name, default in dataset.options.items()}
    if _SCHEMA.value:
        if "schema" not in options:
            raise UsageError(f"--schema: --dataset={dataset.name} is read in its own layout; leave the flag out")
        options["schema"] = _SCHEMA.value
    # Where the schema lies is no part of what is prepared; what it says is, among the files.
    config.pop("schema", None)
    if _DOWNLOAD.value:
        folder = fetched(dataset, folder, **options)
    identity = {"config": config, "files": fingerprints(dataset.source_files(folder, **options), folder)}
    if is_prepared(workdir, identity):
        aside = workdir / quarantine.FILE
        print(f"complete already: {workdir}{f'; some rows were set aside: {aside}' if aside.is_file() else ''}")
        return None

    rejected = quarantine.Quarantine(enabled=_QUARANTINE.value, max_share=max_share)
    with one_writer(workdir), scratch(workdir) as place:
        log = dataset.read(folder, quarantine=rejected, **options)
        made = assembly.assemble(
            log,
            **boundaries,
            min_item_count=config["min_item_count"],
            folder=place,
            shard_rows=_SHARD_ROWS.value,
            each=beam.OnRunner(_RUNNER.value, place, _BEAM_OPTIONS.value) if _RUNNER.value else one_by_one,
            quiet=False,
        )
        extra = {CONFIG: json.dumps(identity, indent=1), METRICS: json.dumps(assembly.metrics(made), indent=1)}
        if len(rejected.frame()):
            extra[quarantine.FILE] = rejected.frame().write_csv()
        columns = rejected.column_lines()
        warnings = made.warnings()
        made.write(workdir, {"dataset": dataset.name, "columns": columns, "warnings": warnings}, extra)
    print(assembly.summary(made))
    for note in (*columns, *made.notes, *rejected.notes()):
        print(note)
    for warning in warnings:
        print(f"warning: {warning}")
    print(f"timelines: {workdir}")
    return None


if __name__ == "__main__":
    app.run(main)
