"""A stage of a pipeline, as plain data: what runs, on which files, writing which files.

Paths are relative to the run folder: a stage is the same wherever that folder lies and however its path is spelled.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PIPELINE = "pipeline.json"  # the resolved config of the pipeline, for the stages that see the whole of it


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One process: `python -m module [--config=config] --flags --workdir=folder`.

    flags: name -> value. A relative Path lies in the run folder, an absolute one with the user; of a tuple or a mapping
    the parts are joined by commas, as `a,b` or `name=a,name=b`; an empty one is said too, and None is left out.
    """

    name: str
    module: str
    config: str = ""  # configs/<file>.py:<name>
    flags: Mapping[str, Any] = field(default_factory=dict)
    place: str = ""  # its folder, where that is not called like the stage
    inputs: tuple[Path, ...] = ()  # files of earlier stages
    outside: Mapping[str, Path] = field(default_factory=dict)  # files from elsewhere, by the names they count under
    writes: tuple[str, ...] = ("metrics.json",)  # files in its folder whose presence says that it has ended well
    settings: Mapping[str, Any] | None = None  # of a stage that sees the whole run folder: what it reads of its config
    aim: str = ""  # what it is for, in a few words: stages of one aim are listed together
    effort: float = 0.2  # how long it takes, of a training of a retrieval model, until its like has been measured

    @property
    def folder(self) -> Path:
        """What the stage writes in."""
        return Path(self.place or self.name)

    @property
    def outputs(self) -> tuple[Path, ...]:
        """The files that it writes."""
        return tuple(self.folder / name for name in self.writes)

    @property
    def owns(self) -> tuple[Path, ...]:
        """What is nobody else's: its folder, or its files where it writes beside those of others."""
        return self.outputs if self.folder == Path() else (self.folder,)

    def makes(self, file: Path) -> bool:
        """Whether it writes `file`, as one of its outputs or in its folder."""
        return file in self.outputs or (self.folder != Path() and file.is_relative_to(self.folder))

    def command(self, where: Callable[[Path], object]) -> list[str]:
        """Its command line, as a user would type it after `python`; `where` says how a path is written."""
        config = {"config": self.config} if self.config else {}
        workdir = Path() if self.settings is not None else self.folder
        flags = {**config, **self.flags, "workdir": workdir}
        return ["-m", self.module, *(_flag(name, value, where) for name, value in flags.items() if value is not None)]


def _flag(name: str, value: Any, where: Callable[[Path], object]) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no{name}"
    if isinstance(value, Mapping):
        value = tuple(value.items())
    if value == ():
        return f"--{name}={'()' if name.startswith('config.') else ''}"  # an empty text is no value of a config
    parts = value if isinstance(value, tuple) else (value,)
    return f"--{name}={','.join(_part(part, where) for part in parts)}"


def _part(value: Any, where: Callable[[Path], object]) -> str:
    if isinstance(value, tuple):
        return "=".join(_part(part, where) for part in value)
    if isinstance(value, Path):
        return str(where(value))
    short = f"{value:g}" if isinstance(value, float) else ""
    return short if short and float(short) == value else str(value)
