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
_required: list[tuple[str, str]] = []  # name and help
_NAME = re.compile(r"\s*[^=/]+=")


@overload
def define_path(name: str, default: None, help_string: str, *, required: Literal[True]) -> flags.FlagHolder[str]: ...
@overload
def define_path(name: str, default: str, help_string: str) -> flags.FlagHolder[str]: ...
@overload
def define_path(name: str, default: None, help_string: str) -> flags.FlagHolder[str | None]: ...
def define_path(name: str, default: str | None, help_string: str, *, required: bool = False) -> flags.FlagHolder[Any]:
    """A flag for one path, as `flags.DEFINE_string` is for text; `required`: `refuse_missing` refuses its absence."""
    holder = flags.DEFINE(_Path(), name, default, help_string, serializer=flags.ArgumentSerializer())
    if required:
        _required.append((name, help_string))
    return holder


def refuse_missing() -> None:
    """Errors: UsageError for the first required path that the command line lacks, with what it is."""
    for name, help_string in _required:
        if not flags.FLAGS[name].value:
            raise UsageError(f"--{name} is required: {help_string[0].lower()}{help_string[1:].rstrip('.')}; see --help")


def define_paths(name: str, help_string: str, *, required: bool = False) -> flags.FlagHolder[list[str]]:
    """A flag for paths with commas between them, none by default."""
    if required:
        _required.append((name, help_string))
    return flags.DEFINE(_Paths(named=False), name, [], help_string, serializer=flags.ListSerializer(","))


def define_named_paths(name: str, help_string: str) -> flags.FlagHolder[list[str]]:
    """A flag for NAME=DIR entries with commas between them, none by default. What is no NAME=DIR comes as it is."""
    return flags.DEFINE(_Paths(named=True), name, [], help_string, serializer=flags.ListSerializer(","))


def named(
    entries: Sequence[str], *, flag: str, writer: str, reserved: Collection[str] = ()
) -> Iterator[tuple[str, str]]:
    """(NAME, DIR) of each entry of a flag of `define_named_paths`; `writer` is the program that writes such a DIR.

    Errors: UsageError for an entry that is no NAME=DIR, or whose name is `reserved`, as metrics.json uses it.
    """
    for entry in entries:
        name, _, folder = entry.partition("=")
        if not (name and folder) or "/" in name:
            raise UsageError(f"{flag}={entry}: write NAME=DIR, DIR being the folder that {writer} wrote")
        if name in reserved:
            raise UsageError(f"{flag}={entry}: metrics.json uses the name '{name}'; choose another")
        yield name, folder


def named_once(entries: Sequence[str], *, flag: str, writer: str, reserved: Collection[str] = ()) -> dict[str, str]:
    """{NAME: DIR}, as `named`; UsageError also where a name is there twice."""
    folders: dict[str, str] = {}
    for name, folder in named(entries, flag=flag, writer=writer, reserved=reserved):
        if name in folders:
            raise UsageError(f"{flag}: '{name}' is there twice; give each a name of its own")
        folders[name] = folder
    return folders


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
