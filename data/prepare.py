"""Turns a raw log into timelines, the artifact that every later stage reads.

    python -m data.prepare --config=configs/data.py:kuairand_pure --data=KuaiRand-Pure --workdir=runs/timelines
    python -m data.prepare --config=configs/data.py:tables --data=my_tables --workdir=runs/timelines

Every row is checked before anything is written. A bad one ends the run with its file, row, column and value; with
--quarantine it goes to WORKDIR/quarantine.csv instead and the run goes on.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from runtime import app
from runtime.config import define_config
from runtime.errors import DataError, UsageError

if TYPE_CHECKING:
    from data.quarantine import Quarantine
    from data.tables import Tables

DATASETS = ("kuairand_pure", "kuairand_1k", "kuairand_27k", "tables")

_CONFIG = define_config(
    "configs/data.py:kuairand_pure", f"The log and its split: configs/data.py:{'|'.join(DATASETS)}."
)
_DATASET = flags.DEFINE_enum("dataset", None, DATASETS, "The log's layout, where it is not the config's.")
_DATA = flags.DEFINE_string("data", None, "Folder of the log: KuaiRand's CSV files, or events.parquet and its tables.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Folder for the timelines: new or empty.")
_QUARANTINE = flags.DEFINE_bool("quarantine", False, "Set bad rows aside in quarantine.csv instead of stopping.")
_DOWNLOAD = flags.DEFINE_bool("download", False, "Fetch KuaiRand's archive into --data first, where it is not there.")


def source_files(dataset: str, folder: Path, *, earlier_history: bool) -> list[Path]:
    """The files that a dataset is read from; DataError where one is missing."""
    from data import kuairand, tables

    if dataset == "tables":
        return tables.source_files(folder)
    return kuairand.source_files(folder, dataset.removeprefix("kuairand_"), earlier_history=earlier_history)


def read(dataset: str, folder: Path, *, earlier_history: bool, rejected: "Quarantine") -> "Tables":
    """The canonical tables of a dataset, every row checked."""
    from data import kuairand, tables

    if dataset == "tables":
        return tables.read_tables(folder, quarantine=rejected)
    version = dataset.removeprefix("kuairand_")
    return kuairand.read_kuairand(folder, version, earlier_history=earlier_history, quarantine=rejected)


def moments(config: Mapping[str, Any]) -> dict[str, int | None]:
    """Where validation and test begin, in milliseconds: the config's word, else the dataset's, else None.

    Errors: UsageError where the config's is no time.
    """
    from data import clock, kuairand

    own = (
        {}
        if config["dataset"] == "tables"
        else {"valid_start": kuairand.VALID_START, "test_start": kuairand.TEST_START}
    )
    found = {}
    for name in ("valid_start", "test_start"):
        text = config[name] or own.get(name, "")
        try:
            found[f"{name}_ms"] = clock.parse(text) if text else None
        except ValueError:
            raise UsageError(f"--config.{name}={text}: no time; write it like 2022-05-03T00:00+08:00") from None
    return found


def fingerprints(files: Sequence[Path]) -> dict[str, str]:
    """sha256 of each file, by name: what a finished workdir is compared with."""
    from runtime.artifact import digest

    return {path.name: digest(path) for path in files}


def is_prepared(workdir: Path, identity: dict[str, Any]) -> bool:
    """True where `workdir` holds whole timelines of this config and log; False where it is new, empty or damaged.

    Errors: UsageError where it holds those of another config or log, or files that are no timelines.
    """
    from data import timelines
    from runtime.artifact import open_manifest
    from runtime.workdir import CONFIG, is_complete, open_workdir

    if not (workdir / CONFIG).is_file():
        if workdir.is_dir() and any(workdir.iterdir()):
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
    from data import assembly, quarantine, timelines
    from runtime.progress import progress
    from runtime.workdir import CONFIG, METRICS

    config = _CONFIG.value.to_dict()
    dataset = config["dataset"] = _DATASET.value or config["dataset"]
    if not _DATA.value or not _WORKDIR.value:
        raise UsageError(f"--{'workdir' if _DATA.value else 'data'} is required: see --help")
    folder, workdir = Path(_DATA.value), Path(_WORKDIR.value)
    boundaries = moments(config)
    if _DOWNLOAD.value:
        from data.kuairand_builder import download

        folder = download(dataset, folder)
    files = source_files(dataset, folder, earlier_history=config["earlier_history"])
    identity = {"config": config, "files": fingerprints(files)}
    if is_prepared(workdir, identity):
        print(f"complete already: {workdir}")
        return None

    rejected = quarantine.Quarantine(enabled=_QUARANTINE.value)
    with progress(label="prepare", total=3, unit="step") as bar:
        tables = read(dataset, folder, earlier_history=config["earlier_history"], rejected=rejected)
        bar.update()
        made = assembly.assemble(tables, **boundaries, min_item_count=config["min_item_count"])
        bar.update()
        extra = {CONFIG: json.dumps(identity, indent=1), METRICS: json.dumps(assembly.metrics(made), indent=1)}
        if len(rejected.frame()):
            extra[quarantine.FILE] = rejected.frame().write_csv()
        timelines.write(
            workdir,
            arrays=made.arrays,
            items=made.items,
            users=made.users,
            fields={"dataset": dataset, **made.fields},
            extra=extra,
        )
        bar.update()
    print(assembly.summary(made))
    for note in (*made.notes, *rejected.notes()):
        print(note)
    print(f"timelines: {workdir}")
    return None


if __name__ == "__main__":
    app.run(main)
