"""Reads schema.yaml: how a log's own columns become Heed's, in a file beside the log.

    events:
      path: clicks                        # where the table lies, with or without .csv, say, if not in events.*
      user_id: uid                        # Heed's name: the log's
      timestamp_ms: {column: ts, unit: s}                                 # also: zone, format
      play_ms: {column: watched, unit: s}
      like: rating >= 4
      dislike: [rating <= 2, hidden]      # any of these
      long_view: {played: 0.5}            # a play of half of the item's duration, or longer
      event_type: {like: [heart, save], dislike: [hide, report]}          # also: undo, column, left_out, within
    items:
      creator_id: author
      cluster_id: {column: genres, separator: "|"}
      categories: [language]
      numbers: [year]
    users:
      categories: [country]
    empty: ["NULL", "\\\\N"]                # what stands for an empty field, besides nothing
    decimal: ","                          # what stands before the fraction of a number, if not a point

Columns that it does not speak of are read by Heed's names, if they have one.
"""

import difflib
import math
import re
import zoneinfo
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import polars as pl
import yaml

from data.raw.rows import Column
from data.raw.schema.event_types import HOUR_MS, TYPE, EventTypes
from data.raw.schema.rules import OPERATORS, Compared, OneOf, Watched, split
from data.raw.schema.said import (
    FLAGS,
    LENGTHS,
    NAMES,
    TABLES,
    TIMES,
    Schema,
    TableSchema,
    compared,
    of_length,
    other_unit,
    plain,
)
from data.raw.schema.yaml_nodes import Nodes
from data.raw.tables import FEEDBACK_COLUMNS
from data.raw.times import UNITS, Lengths, Moments
from runtime.errors import UsageError

_LISTS = {"creator_id", "cluster_id"}
_RULE = re.compile(rf"^(.+?)\s*({'|'.join(OPERATORS)})\s*(.+)$")


def find(folder: Path, given: str = "") -> Path | None:
    """The file that was `given`, or the one in `folder`, None where there is none. Errors: UsageError."""
    if given:
        if not Path(given).is_file():
            raise UsageError(f"--schema={given}: no such file; check the path")
        return Path(given)
    there = [folder / name for name in NAMES if (folder / name).is_file()]
    if len(there) > 1:
        raise UsageError(f"{there[0]} and {there[1]}: both are there; keep one of them")
    return there[0] if there else None


def read(path: Path | None) -> Schema:
    """What the file says, nothing where there is none.

    Errors: UsageError for a file that is no YAML, and for anything in it that is not known, with its line.
    """
    if path is None:
        return Schema()
    nodes = Nodes(path)
    said = nodes.mapping(nodes.root, [*TABLES, "empty", "decimal"], path.name)
    tables = {name: _table(nodes, node, name) for name, node in said.items() if name in TABLES}
    decimal = nodes.text(said["decimal"], "decimal") if "decimal" in said else "."
    if decimal not in (".", ","):
        nodes.fail(said["decimal"], f'decimal: \'{decimal}\' stands before no fraction; write "," or "."')
    return Schema(path, tables, tuple(nodes.texts(said["empty"], "empty")) if "empty" in said else (), decimal)


def _table(nodes: Nodes, node: yaml.Node, table: str) -> TableSchema:
    canonical = {column.name: column for column in TABLES[table]}
    further = [TYPE] if table == "events" else ["categories", "numbers"]
    said = nodes.mapping(node, ["path", *canonical, *further], table)
    lines: dict[str, int] = {}
    separators: dict[str, str] = {}

    def of_log(name: str, at: yaml.Node) -> str:
        lines.setdefault(name, at.start_mark.line + 1)
        return name

    def listed(key: str) -> tuple[str, ...] | None:
        if key not in said:
            return None
        names = []
        for one in nodes.several(said[key]):
            parts = _parts(nodes, one, "", ["separator"], key)
            names.append(of_log(parts["column"], one))
            if parts.get("separator"):
                separators[parts["column"]] = parts["separator"]
        return tuple(names)

    played = None
    columns: dict[str, tuple[Column, ...]] = {}
    for name, column in canonical.items():
        if name in said and name in FLAGS:
            shares, rules = _shares(nodes, said[name], name)
            played = min(shares, default=None) if name == "long_view" else played
            columns[name] = tuple(_rule(nodes, rule, column, of_log) for rule in rules)
        elif name in said:
            columns[name] = (_column(nodes, said[name], column, of_log),)
    types = _event_types(nodes, said[TYPE]) if TYPE in said else None
    if types:
        of_log(types.column, said[TYPE])
    path = nodes.text(said["path"], "path") if "path" in said else ""
    return TableSchema(path, columns, types, played, listed("categories"), listed("numbers"), separators, lines)


def _shares(nodes: Nodes, node: yaml.Node, name: str) -> tuple[list[float], list[yaml.Node]]:
    """Of what feedback is made of: shares of the duration, `{played: 0.5}` of long views, and the rules."""
    if not (rules := nodes.several(node)):
        nodes.fail(node, f"{name} is made of no column; name one, or leave the line out")
    shares = []
    for rule in rules if name == "long_view" else ():
        said = nodes.mapping(rule, ["column", "played"], name) if nodes.is_mapping(rule) else {}
        if "played" in said:
            text = nodes.text(said["played"], f"played of {name}")
            share = float(text) if re.fullmatch(r"\d*\.?\d+", text) else 0.0
            if not 0 < share <= 1 or "column" in said:
                nodes.fail(rule, f"{name}: write {{played: 0.5}}, a share of the duration above 0 and up to 1, alone")
            shares.append(share)
            rules = [other for other in rules if other is not rule]
    return shares, rules


def _column(nodes: Nodes, node: yaml.Node, column: Column, of_log: Callable[[str, yaml.Node], str]) -> Column:
    """How one canonical column that is no flag is made."""
    name = column.name
    known = ["unit", "zone", "format"] if name in TIMES else ["unit"] if name in LENGTHS else []
    parts = _parts(nodes, node, name, [*known, *(["separator"] if name in _LISTS else [])], name)
    made = replace(plain(column), source=of_log(parts["column"], node))
    unit = parts.get("unit", "")
    if unit and unit not in UNITS:
        nodes.fail(node, f"{name}: unit '{unit}' is none of {', '.join(UNITS)}")
    if "zone" in parts and not _is_zone(parts["zone"]):
        guess = difflib.get_close_matches(parts["zone"], sorted(zoneinfo.available_timezones()), n=1)
        hint = f"did you mean {guess[0]}?" if guess else "write it like Europe/Berlin"
        nodes.fail(node, f"{name}: no zone '{parts['zone']}'; {hint}")
    if "format" in parts and "%" not in parts["format"]:
        nodes.fail(
            node, f"{name}: format '{parts['format']}' names no part of a time, such as %Y; write it as strptime has it"
        )
    remedy = partial(other_unit, made, unit=unit, file=nodes.path.name)
    if name in TIMES:
        layout = parts.get("format", "")
        moments = Moments(unit or "ms", zone=parts.get("zone", ""), layout=layout)
        what = f"a time of the format {layout}" if layout else "a time"
        return replace(made, convert=moments, what=what, remedy=remedy(layout=layout))
    if name in LENGTHS:
        what = made.what if unit in ("", "ms") else f"a number of {unit}"
        of_cell = partial(of_length, otherwise=remedy(), in_ms=unit in ("", "ms"))
        return replace(made, convert=Lengths(unit or "ms"), what=what, remedy=of_cell)
    if "separator" in parts:
        return replace(made, convert=partial(split, separator=parts["separator"]))
    return made


def _rule(nodes: Nodes, node: yaml.Node, column: Column, of_log: Callable[[str, yaml.Node], str]) -> Column:
    text = _parts(nodes, node, column.name, [], column.name)["column"]
    found = None if nodes.is_mapping(node) else _RULE.match(text)
    if not found:
        return plain(replace(column, source=of_log(text, node)))
    name, symbol, right = found.groups()
    made = replace(column, source=of_log(name, node))
    made = replace(made, remedy=partial(compared, made))
    try:
        number = float(right)
        if math.isnan(number):
            raise ValueError
        return replace(made, convert=Watched(Compared(symbol, number), text), what="a number")
    except ValueError:
        if symbol not in ("==", "!="):
            share = "; a share of the duration is {played: 0.5}" if column.name == "long_view" else ""
            nodes.fail(
                node, f"{column.name}: '{right}' is no number to compare with; words are compared with == and !={share}"
            )
        return replace(made, convert=Watched(OneOf([right.strip("'\"")], symbol == "=="), text))


def _parts(nodes: Nodes, node: yaml.Node, column: str, further: Sequence[str], what: str) -> dict[str, str]:
    # A name, or {column: name, …}; the name is `column` where none is given.
    if not nodes.is_mapping(node):
        return {"column": nodes.text(node, f"{what} is made of a column: that")}
    said = nodes.mapping(node, ["column", *further], what)
    parts = {key: nodes.text(value, f"{key} of {what}") for key, value in said.items()}
    if "column" not in parts and not column:
        nodes.fail(node, f"{what} lacks the name: write {{column: NAME, …}}")
    return {"column": column, **parts}


def _event_types(nodes: Nodes, node: yaml.Node) -> EventTypes:
    said = nodes.mapping(node, ["column", *FEEDBACK_COLUMNS, "undo", "left_out", "within"], TYPE)
    of = {name: nodes.texts(said[name], f"{name} of {TYPE}") for name in FEEDBACK_COLUMNS if name in said}
    if not of:
        nodes.fail(node, f"{TYPE} names no feedback; write it like {{like: [heart], dislike: [hide]}}")
    undo = nodes.mapping(said["undo"], list(of), "undo") if "undo" in said else {}  # of what is said alone
    within = HOUR_MS
    if "within" in said:
        found = re.fullmatch(rf"(\d+)\s*({'|'.join(UNITS)})|0", text := nodes.text(said["within"], "within"))
        if not found:
            nodes.fail(said["within"], f"within: '{text}' is no length of time; write it like 30min")
        times, over = UNITS[found[2] or "ms"]
        within = int(found[1] or 0) * times // over
    return EventTypes(
        nodes.text(said["column"], "column") if "column" in said else TYPE,
        of,
        {name: nodes.texts(types, f"{name} of undo") for name, types in undo.items()},
        nodes.texts(said["left_out"], "left_out") if "left_out" in said else [],
        within,
    )


def _is_zone(name: str) -> bool:
    try:
        pl.Series([0]).cast(pl.Datetime("ms")).dt.replace_time_zone(name)
    except pl.exceptions.PolarsError:
        return False
    return True
