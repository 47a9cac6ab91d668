"""Looks at a folder of logs: what lies there, what its columns hold, what Heed makes of it, and what is missing.

    python -m data.inspect --data=my_logs

Writes a first schema.yaml beside the log, or into --workdir, with what is guessed in comments where it is no more than
a guess. One that is there is read, and never changed.
"""

from collections.abc import Sequence
from pathlib import Path

from absl import flags

from runtime import app
from runtime.errors import DataError, UsageError
from runtime.paths import define_path

_DATA = define_path("data", None, "Folder of the log.", required=True)
_SCHEMA = define_path("schema", None, "A schema.yaml that is not in --data.")
_WORKDIR = define_path("workdir", None, "Folder for the first schema.yaml, if not --data.")
_ROWS = flags.DEFINE_integer(
    "rows", 100_000, "Rows of a table that are looked at for guesses; all are read after.", lower_bound=1
)


def main(argv: Sequence[str]) -> int | None:
    """Looks, writes the schema, and reads everything by it."""
    del argv
    from data.first_look import first_schema, tables
    from data.raw.schema import yaml_file
    from data.raw.schema.said import NAMES

    folder = Path(_DATA.value)
    if not folder.is_dir():
        what = "a file; give the folder that it lies in" if folder.is_file() else "no such folder"
        raise UsageError(f"--data={folder}: {what}")
    there = yaml_file.find(folder, _SCHEMA.value or "")
    looked = tables.looked_at(folder, yaml_file.read(there), rows=_ROWS.value)
    for name, table in looked.items():
        print("\n".join(table.lines(name)), end="\n\n")
    if there:
        _read(folder, there, f"schema: {there}, left as it is")
        return None
    text = first_schema.text(
        {name: table.looks for name, table in looked.items()},
        {name: table.path for name, table in looked.items() if table.path},
    )
    path = Path(_WORKDIR.value or folder) / NAMES[0]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path}: is there already, and stays; read it by --schema={path}, or move it away") from None
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}: give a --workdir where schema.yaml can be written") from None
    flag = "" if path.parent == folder else f" --schema={path}"
    _read(
        folder,
        path,
        f"schema: {path}, a first one to mend; then:\n"
        f"  python -m data.prepare --config=configs/data.py:tables --data={folder}{flag} --workdir=runs/timelines",
    )
    return None


def _read(folder: Path, schema: Path, last: str) -> None:
    """Reads the log as the schema says, and tells what came of it."""
    from data import assembly, clock, traits
    from data.first_look import needs
    from data.raw.quarantine import Quarantine
    from data.readers.canonical import layout

    rejected = Quarantine(enabled=True)
    try:
        made = assembly.assemble(layout.read_tables(folder, quarantine=rejected, schema=str(schema)))
    except DataError as error:
        raise DataError(f"{error}; mend {schema}") from None
    print("\n".join([*rejected.column_lines(), "", assembly.summary(made)]))
    print(f"{'first and last':<16}  {clock.show(made.first_ms)}, {clock.show(made.fields['end_ms'] - 1)}", end="\n\n")
    of_bad_rows = [note.replace("quarantined", "bad rows") for note in rejected.notes()]
    for note in (*made.notes, *of_bad_rows, *(f"warning: {warning}" for warning in made.warnings())):
        print(note)
    for line in needs.lines(traits.of_counts(made.counts, made.items, made.embeddings)):
        print(line)
    print(last)


if __name__ == "__main__":
    app.run(main)
