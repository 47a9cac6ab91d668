"""Sequence files, as papers on sequential recommendation exchange them: `user item item …`, a line a user, in order.

There are no times and no reactions: every item counts as a click, and times are made up to say what such papers
measure by. A user's last item lies on the test day, the one before it on the validation day, all earlier ones on the
training day, in their order; users of fewer than three items only train. So the split by time is leave-one-out, and
next_item of retrieval.evaluate, the history just before, is what is published as HR@k (recall@k there) and NDCG@k over
all items. Memory: the file's text and some 50 bytes an item.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from data.readers import Dataset
from runtime.errors import DataError

if TYPE_CHECKING:
    from data.raw.quarantine import Quarantine
    from data.raw.tables import Tables

_DAY_MS, _FIRST_MS = 86_400_000, 946_684_800_000  # 2000-01-01
_NO_ITEM = "has no item after it: a line is a user and the items in their order"
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
    """The lines as events: clicks, in order. A line that is set aside counts as many rows as it has items, or one.

    Errors: DataError for a file that is no UTF-8, and for the lines as `data.raw.rows.read` for rows: each has a user
    of its own, and an item.
    """
    import polars as pl

    from data.raw.batches import Rows
    from data.raw.rows import checked
    from data.raw.tables import ITEM_ID, USER_ID, Tables

    path = source_files(folder)[0]
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text (byte {error.start}); write it again as UTF-8") from None
    line, words = pl.col("line").str, pl.col("words")
    lines = (
        pl.DataFrame({"line": text.splitlines()}, schema={"line": pl.String})
        .with_columns(
            user=line.extract(r"(\S+)"), items=line.extract(r"\S+\s+(\S.*)"), words=line.count_matches(r"\S+")
        )
        .select("user", "items", words.cast(pl.Int64), row=pl.int_range(1, pl.len() + 1))
        .filter(words > 0)  # blank lines say nothing
    )
    whole = lines.filter(words > 1)
    broken = lines.filter(words == 1).select("row", value="user", reason=pl.lit(_NO_ITEM))
    rows = Rows(whole.select("user", "items"), whole["row"], broken)
    columns = (
        replace(USER_ID, source="user", dtype=pl.String, unique=True),
        replace(ITEM_ID, source="items", dtype=pl.String),
    )
    good, _ = checked(path, rows, ("user", "items"), columns, quarantine=quarantine)
    left = pl.col("place") - pl.col("length")  # −1 of a user's last item
    of_three = pl.col("length") >= 3
    day = pl.when(of_three & (left == -1)).then(2).when(of_three & (left == -2)).then(1).otherwise(0)
    events = (
        good.with_columns(pl.col("item_id").str.extract_all(r"\S+"))
        .with_columns(length=pl.col("item_id").list.len().cast(pl.Int64))
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
    rows_read = lines.select((words - 1).clip(1).sum()).item()
    return Tables(events, items=None, users=None, earlier=None, rows_read=rows_read)


DATASETS = (
    Dataset(
        "sequences",
        "a file of sequences, `user item item …` a line, split leave-one-out",
        source_files,
        read,
        valid_start=_VALID,
        test_start=_TEST,
        settings={"retrieval": {"length": 200, "learning_rate": 3e-3, "dropout": 0.3, "num_epochs": 14}},
    ),
)
