"""What the columns of a log are probably meant to be, and the lines of schema.yaml that say so."""

import dataclasses
import json
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data.first_look.columns import Look
from data.raw import spellings
from data.raw.names import is_telling, meant, named
from data.raw.schema.event_types import TYPE
from data.raw.schema.said import FLAGS, LENGTHS, TABLES, TIMES
from data.raw.tables import FEEDBACK_COLUMNS

_RATINGS = {"rating", "ratings", "stars", "score", "rate", "review_score"}
_TYPES = re.compile(r"(event|action|interaction|behaviou?r|feedback)(_?(type|name))?|type|verb|activity")
_MOST_TYPES = 100
_UNITS = {
    word: unit
    for unit, words in {
        "s": "s sec secs second seconds",
        "ms": "ms msec millis milliseconds",
        "us": "us micros microseconds",
        "min": "min mins minute minutes",
    }.items()
    for word in words.split()
}
_SHORT_S, _SHORT_MS = 6 * 3600, 600  # plays and items last hours at most, and more than half a second
_LISTED = 0.1  # as many cells of lists have more than one value
_PLAIN = re.compile(r"^[A-Za-z_][A-Za-z0-9_.-]*$")


@dataclasses.dataclass(frozen=True)
class Guess:
    """A line of schema.yaml: `key: value`. sure: whether it stands there, or in a comment. why: said behind it."""

    key: str
    value: str
    why: str = ""
    sure: bool = True

    def __str__(self) -> str:
        line = f"{self.key}: {self.value}"
        return f"{'' if self.sure else '# '}{line}{f'  # {self.why}' if self.why else ''}"


def of_table(table: str, looks: Sequence[Look]) -> list[Guess]:
    """The lines of a table's part of schema.yaml, for the columns that are looked at."""
    there = {look.name: look for look in looks}
    canonical = {column.name for column in TABLES[table]}
    taken: set[str] = set()
    guesses: list[Guess] = []
    for column in TABLES[table]:
        name = column.name
        if name in there:
            taken.add(name)
            guesses += _of_known(name, there[name])
            continue
        others = [look for look in looks if look.name not in {*taken, *canonical}]
        exact = [look for look in others if named(look.name, [name]) or _is_own_id(table, name, look)]
        near = next((look for look in others if meant(look.name, [name])), None)
        best = min(exact, key=lambda look: not is_telling(look.name), default=None)
        found = best or near
        if not found:
            continue
        guess = _renamed(name, found, sure=(found is best and is_telling(found.name)) or column.required)
        if guess:
            taken.add(found.name)
            guesses.append(guess)
    if table == "events":
        guesses += _of_types([look for look in looks if look.name not in taken])
        guesses += _of_ratings([look for look in looks if look.name not in taken])
    return guesses


def written(name: str) -> str:
    """A name as YAML has it."""
    return name if _PLAIN.match(name) else json.dumps(name, ensure_ascii=False)


def _is_own_id(table: str, name: str, look: Look) -> bool:
    return look.name.lower() == "id" and (table, name) in (("items", "item_id"), ("users", "user_id"))


def _of_known(name: str, look: Look) -> list[Guess]:
    """A column under Heed's own name, where it does not hold what Heed's does."""
    if name in TIMES and look.time and any(look.time):
        why = _other_layout(look) or f"as {look.example} tells"
        return [Guess(name, _inside(_of_time(look)), why, sure=not _other_layout(look))]
    if name in LENGTHS and look.numbers is not None and _seems_seconds(look.numbers):
        return [Guess(name, "{unit: s}", f"the middle one is {_middle(look)}: seconds?", sure=False)]
    if name in FLAGS and look.numbers is None:
        return _worded(name, look)
    if name in FLAGS and look.numbers is not None and not look.is_flag:
        # Stars begin at one, or a half; how often somebody did a thing begins at none.
        return _rated(look, name) if name == "like" and look.numbers.min() > 0 else [_counted(name, look)]
    return []


def _renamed(name: str, look: Look, *, sure: bool) -> Guess | None:
    column = written(look.name)
    if name in TIMES:
        if look.time is None:
            return None
        why = _other_layout(look) or f"such as {look.example}"
        sure = sure and not _other_layout(look)
        return Guess(name, _inside({"column": column, **_of_time(look)}), why, sure=sure)
    if name in LENGTHS:
        if look.numbers is None:
            return Guess(name, column, sure=sure) if look.kind in ("lengths of time", "text") else None
        unit = _UNITS.get(re.split(r"[^A-Za-z]+|(?<=[a-z])(?=[A-Z])", look.name)[-1].lower(), "")
        if unit:
            return Guess(name, _inside({"column": column, "unit": unit}), sure=sure)
        unit = "s" if _seems_seconds(look.numbers) else "ms"
        why = f"the middle one is {_middle(look)}: {'seconds' if unit == 's' else 'milliseconds'}?"
        return Guess(name, _inside({"column": column, "unit": unit}), why, sure=sure)
    if name in FLAGS and not look.is_flag:
        return next(iter(_worded(name, look)), None) if look.numbers is None else _counted(name, look)
    holds = {mark: look.texts.str.contains(mark, literal=True).sum() for mark in "|;,"} if look.kind == "text" else {}
    separator = next((mark for mark, count in holds.items() if count > _LISTED * len(look.texts)), "")
    if name == "cluster_id" and separator:
        return Guess(
            name, _inside({"column": column, "separator": f'"{separator}"'}), f"such as {look.example}", sure=sure
        )
    return Guess(name, column, sure=sure)


def _counted(name: str, look: Look) -> Guess:
    assert look.numbers is not None
    return Guess(name, f"{written(look.name)} >= 1", f"up to {look.numbers.max():g}: counts?", sure=False)


def _worded(name: str, look: Look) -> list[Guess]:
    """Of a column of two words, or of one beside empty cells, one of which is a yes."""
    words = look.texts.unique().sort().to_list() if look.kind == "text" and look.distinct <= 2 else []
    plain = [word.strip().lower() for word in words]
    yes = [word for word, said in zip(words, plain, strict=True) if said in spellings.YES]
    if not yes and any(said in spellings.NO for said in plain):
        yes = [word for word, said in zip(words, plain, strict=True) if said not in spellings.NO]
    if len(yes) != 1:
        return []
    others = [word for word in words if word not in yes]
    return [Guess(name, f"{written(look.name)} == {yes[0]}", f"or {others[0]}?" if others else "", sure=False)]


def _of_time(look: Look) -> dict[str, str]:
    unit, layout = look.time or ("", "")
    said = {"unit": unit, "format": json.dumps(layout) if layout else ""}
    if layout and "%z" not in layout and "%H" in layout:
        said["zone"] = "UTC"
    return {key: value for key, value in said.items() if value}


def _other_layout(look: Look) -> str:
    # Whether 03/04 is of March or of April no cell may tell.
    _, layout = look.time or ("", "")
    return f"or {look.layouts[1]}: {look.example} may be either" if layout and len(look.layouts) > 1 else ""


def _inside(parts: dict[str, str]) -> str:
    return (
        next(iter(parts.values()))
        if [*parts] == ["column"]
        else "{" + ", ".join(f"{k}: {v}" for k, v in parts.items()) + "}"
    )


def _seems_seconds(numbers: NDArray[np.float64]) -> bool:
    lasting = numbers[numbers > 0]
    return bool(len(lasting) and np.median(lasting) < _SHORT_MS and np.quantile(lasting, 0.95) < _SHORT_S)


def _middle(look: Look) -> str:
    assert look.numbers is not None
    lasting = look.numbers[look.numbers > 0]
    return f"{np.median(lasting):g}" if len(lasting) else "none"


def _of_types(looks: Sequence[Look]) -> list[Guess]:
    """A column of event types, where one row is one type."""
    for look in looks:
        if not _TYPES.fullmatch(look.name.lower()) or look.distinct > _MOST_TYPES or look.kind != "text":
            continue
        of: dict[str, list[str]] = {}
        rest = []
        for word in look.texts.unique().sort():
            feedback = named(word, FEEDBACK_COLUMNS)
            of.setdefault(feedback, []).append(written(word)) if feedback else rest.append(word)
        if not of:
            continue
        parts = {"column": written(look.name)} if look.name != TYPE else {}
        parts |= {feedback: f"[{', '.join(words)}]" for feedback, words in of.items()}
        why = f"without feedback: {', '.join(rest)}" if rest else ""
        return [Guess(TYPE, _inside(parts), why)]
    return []


def _of_ratings(looks: Sequence[Look]) -> list[Guess]:
    for look in looks:
        if look.name.lower() in _RATINGS and look.numbers is not None and not look.is_flag:
            return _rated(look, look.name)
    return []


def _rated(look: Look, column: str) -> list[Guess]:
    assert look.numbers is not None
    least, most = look.numbers.min(), look.numbers.max()
    top = next((bound for bound in (5, 10, 100) if most <= bound), None)
    if top is None or least < 0:
        return []
    why = f"{least:g} to {most:g}"
    name, sure = written(column), bool(most >= top * 4 / 5)  # else it may be another scale
    rules = {"like": f">= {top * 4 // 5}", "dislike": f"<= {top * 2 // 5}"}
    return [Guess(feedback, f"{name} {rule}", why, sure=sure) for feedback, rule in rules.items()]
