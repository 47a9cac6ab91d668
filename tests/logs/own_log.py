"""A log of one's own, small and not in Heed's words: CSV, a folder a day, and a schema.yaml that says what it is."""

from pathlib import Path

import polars as pl

# The head of its schema.yaml: where `write` puts the events, and the columns that every log of this kind has.
SCHEMA = """
events:
  path: clicks
  user_id: viewer
  item_id: video
  timestamp_ms: {column: at, unit: s}
"""


def write(folder: Path, events: pl.DataFrame, schema: str, *, items: pl.DataFrame | None = None) -> Path:
    """Writes events, whose `at` are seconds, to folder/logs/clicks/day=…/part-0.csv, and returns folder/logs."""
    logs = folder / "logs"
    by_day = events.with_columns(day=pl.from_epoch("at", time_unit="s").dt.date())
    for (day,), part in by_day.partition_by("day", as_dict=True, include_key=False).items():
        path = logs / "clicks" / f"day={day}" / "part-0.csv"
        path.parent.mkdir(parents=True)
        part.write_csv(path)
    if items is not None:
        items.write_csv(logs / "items.csv", separator=";")
    (logs / "schema.yaml").write_text(schema)
    return logs
