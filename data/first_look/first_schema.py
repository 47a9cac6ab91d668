"""The first schema.yaml of a log: how its columns become Heed's, as far as names and cells tell, for people to mend."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from data.first_look.columns import Look
from data.first_look.guesses import of_table, written
from data.raw.names import named
from data.raw.schema.said import TABLES

_HEAD = """\
# What the columns of this log are to Heed, guessed by `python -m data.inspect`: mend what is wrong, and take the # from
# lines that are right. Heed's name comes first, the log's after it; Heed's docs/logs.md lists all that can be said.
# Columns that are not spoken of are read by Heed's own names, and further ones of items and users as categories.
"""


def text(looks: Mapping[str, Sequence[Look]], paths: Mapping[str, str]) -> str:
    """The file.

    Args: looks, table -> its columns. paths: table -> where it lies, where that is not its usual place.
    """
    lines = [_HEAD]
    for table, columns in looks.items():
        guesses = [str(guess) for guess in of_table(table, columns)]
        if table in paths:
            guesses.insert(0, f"path: {written(paths[table])}")
        is_empty = all(guess.startswith("#") for guess in guesses)
        lines.append(f"{table}:{'  # by their own names' if is_empty else ''}")
        lines += [f"  {guess}" for guess in guesses]
    every = [look for columns in looks.values() for look in columns]
    words = sorted({word for look in every for word in look.nothing})
    if words:
        of = ", ".join(sorted({look.name for look in every if look.nothing}))
        lines.append(f"empty: [{', '.join(_quoted(word) for word in words)}]  # where {of} hold{_s(of)} no value")
    if commas := [look for look in every if look.comma]:
        lines.append(f'decimal: ","  # such as {commas[0].example} in {commas[0].name}')
    return "\n".join(lines) + "\n"


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "''") + "'"


def _s(names: str) -> str:
    return "" if ", " in names else "s"


def tables_of(headers: Mapping[Path, Sequence[str]]) -> dict[str, Path]:
    """Which of these tables are the events, the items and the users, by the names of their columns.

    Events have a user, an item and a time; items an item, or an `id` and what only items have; users likewise.
    """
    found: dict[str, Path] = {}

    def has(names: Sequence[str], canonical: str) -> bool:
        # What may be a time of an event is none of an item here: users have a created_at too.
        return any(named(name, [canonical, "timestamp_ms"]) == canonical for name in names)

    def unlike(path: Path) -> bool:
        return path not in found.values()

    for path, names in headers.items():
        if has(names, "user_id") and has(names, "item_id"):
            found.setdefault("events", path)
    of_items = {column.name for column in TABLES["items"]} - {"item_id"}
    for path, names in headers.items():
        own = any(name.lower() == "id" for name in names)
        if unlike(path) and (has(names, "item_id") or (own and any(has(names, name) for name in of_items))):
            found.setdefault("items", path)
    for path, names in headers.items():
        if unlike(path) and (has(names, "user_id") or (names and "user" in path.name.lower())):
            found.setdefault("users", path)
    return found if "events" in found else {}
