"""Flags that name files and folders: `~` is the user's home, and a comma may be part of a folder's name.

A list of folders is split at its commas, one of NAME=DIR only at those that another NAME= follows: `a=x,y,b=z` is
`a=x,y` and `b=z`. In both the disk has the last word: what is there under a name with commas is one entry.
"""

import os
import re
from collections.abc import Collection, Iterator, Sequence
from typing import Any, Literal, overload

from absl import flags

from runtime.errors import UsageError

flags.disclaim_key_flags()  # --help shows a flag among those of the binary that defines it
_NAME = re.compile(r"\s*[^=/]+=")


@overload
def define_path(name: str, default: None, help_string: str, *, required: Literal[True]) -> flags.FlagHolder[str]: ...
@overload
def define_path(name: str, default: str, help_string: str) -> flags.FlagHolder[str]: ...
@overload
def define_path(name: str, default: None, help_string: str) -> flags.FlagHolder[str | None]: ...
def define_path(name: str, default: str | None, help_string: str, *, required: bool = False) -> flags.FlagHolder[Any]:
    """A flag for one path, as `flags.DEFINE_string` is for text."""
    return flags.DEFINE(_Path(), name, default, help_string, serializer=flags.ArgumentSerializer(), required=required)


def define_paths(name: str, help_string: str) -> flags.FlagHolder[list[str]]:
    """A flag for paths with commas between them, none by default."""
    return flags.DEFINE(_Paths(named=False), name, [], help_string, serializer=flags.ListSerializer(","))


def define_named_paths(name: str, help_string: str) -> flags.FlagHolder[list[str]]:
    """A flag for NAME=DIR entries with commas between them, none by default. What is no NAME=DIR comes as it is."""
    return flags.DEFINE(_Paths(named=True), name, [], help_string, serializer=flags.ListSerializer(","))


def named(entries: Sequence[str], *, flag: str, what: str, reserved: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """(NAME, DIR) of each entry of a flag of `define_named_paths`; `what` is in words what DIR has to be.

    Errors: UsageError for an entry that is no NAME=DIR, or whose name is `reserved`, as metrics.json uses it.
    """
    for entry in entries:
        name, _, folder = entry.partition("=")
        if not (name and folder) or "/" in name:
            raise UsageError(f"{flag}={entry}: written NAME=DIR, DIR being {what}")
        if name in reserved:
            raise UsageError(f"{flag}={entry}: the name {name} is taken, as metrics.json uses it; choose another")
        yield name, folder


def split(text: str, *, named: bool) -> list[str]:
    """The entries of a list of paths, or of NAME=DIR where `named`, by this module's rule; `~` is expanded."""
    parts, entries = text.split(",") if text else [], []
    while parts:
        longest = (n for n in range(len(parts), 1, -1) if os.path.exists(_entry(parts[:n], named=named)[1]))
        ends = (n for n in range(1, len(parts)) if not named or _NAME.match(parts[n]))
        n = next(longest, None) or next(ends, len(parts))
        entries.append("".join(_entry(parts[:n], named=named)))
        parts = parts[n:]
    return entries


def _entry(parts: Sequence[str], *, named: bool) -> tuple[str, str]:
    # "NAME=", or nothing, and the path.
    text = ",".join(parts).strip()
    name, equals, path = text.partition("=") if named and "=" in text else ("", "", text)
    return name + equals, os.path.expanduser(path)


class _Path(flags.ArgumentParser[str]):
    syntactic_help = "a path"

    def parse(self, argument: str) -> str:
        return os.path.expanduser(argument)


class _Paths(flags.ArgumentParser[list[str]]):
    def __init__(self, *, named: bool) -> None:
        self._named = named
        self.syntactic_help = (
            "NAME=PATH entries with commas between them" if named else "paths with commas between them"
        )

    def parse(self, argument: str | list[str]) -> list[str]:
        return split(argument, named=self._named) if isinstance(argument, str) else argument
