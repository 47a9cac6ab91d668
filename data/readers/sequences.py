"""Sequence files, as papers on sequential recommendation exchange them: `user item item …`, a line a user, in order.

There are no times and no reactions: every item counts as a click, and times are made up to say what such papers
measure by. A user's last item lies on the test day, the one before it on the validation day, all earlier ones on the
training day, in their order; users of fewer than three items only train. So the split by time is leave-one-out, and
next_item of retrieval.evaluate, the history just before, is what is published as HR@k (recall@k there) and NDCG@k over
all items. Memory: the file's text and some 50 bytes an item.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from data.readers import Dataset
from runtime.errors import DataError

if TYPE_CHECKING:
    from data.raw.quarantine import Quarantine
    from data.raw.tables import Tables

_DAY_MS, _FIRST_MS = 86_400_000, 946_684_800_000  # 2000-01-01
_VALID, _TEST = "2000-01-02", "2000-01-03"


def source_files(folder: Path) -> list[Path]:
    """The file itself, or the one .txt file of a folder."""
    if folder.is_file():
        return [folder]
    files = sorted(folder.glob("*.txt")) if folder.is_dir() else []
    if len(files) != 1:
        names = ", ".join(path.name for path in files[:3])
        raise DataError(f"{folder}: {names or 'no .txt file'}; --data is the file of sequences, or a folder of one")
    return files


def read(folder: Path, *, quarantine: "Quarantine") -> "Tables":
    """The lines as events: clicks, in order. Errors: DataError for a line of no item, and for a user of two lines."""
    import polars as pl

    from data.raw.sources import Part
    from data.raw.tables import Tables

    path = source_files(folder)[0]
    lines = pl.Series("words", path.read_text(encoding="utf-8").splitlines()).str.extract_all(r"\S+")
    table = pl.DataFrame({"row": pl.int_range(1, len(lines) + 1, eager=True), "words": lines})
    table = table.filter(pl.col("words").list.len() > 0)  # blank lines say nothing
    table = table.with_columns(user_id=pl.col("words").list.first(), items=pl.col("words").list.slice(1))
    part = [Part(path, path.name, {})]
    for bad, reason, remedy in (
        (pl.col("items").list.len() == 0, "no item after the user", "a line is a user and the items in their order"),
        (~pl.col("user_id").is_first_distinct(), "a user of an earlier line", "give each user one line"),
    ):
        rows = table.filter(bad)
        if len(rows):
            first = pl.zeros(len(rows), pl.Int64, eager=True)
            quarantine.add(part, first, rows["row"], "user", rows["user_id"], reason, remedy)
            table = table.filter(~bad)
    left = pl.col("place") - pl.col("length")  # −1 of a user's last item
    of_three = pl.col("length") >= 3
    day = pl.when(of_three & (left == -1)).then(2).when(of_three & (left == -2)).then(1).otherwise(0)
    events = (
        table.with_columns(length=pl.col("items").list.len().cast(pl.Int64))
        .select("user_id", "length", item_id="items")
        .explode("item_id")
        .with_columns(place=pl.int_range(pl.len()).over("user_id"))
        .select(
            "user_id",
            "item_id",
            timestamp_ms=_FIRST_MS
            + _DAY_MS * day.cast(pl.Int64)
            + pl.when(day == 0).then(pl.col("place")).otherwise(0),
            click=pl.lit(1, pl.Int8),
        )
    )
    if events["timestamp_ms"].is_empty():
        raise DataError(f"{path}: no sequence in it; a line is a user and the items in their order")
    return Tables(events, items=None, users=None, earlier=None, rows_read=len(events))


DATASETS = (
    Dataset(
        "sequences",
        "a file of sequences, `user item item …` a line, split leave-one-out",
        source_files,
        read,
        valid_start=_VALID,
        test_start=_TEST,
        settings={"retrieval": {"length": 200, "batch_size": 16, "dropout": 0.3, "num_epochs": 14}},
    ),
)
