"""A stage of a pipeline, as plain data: what runs, on which files, writing which files."""

from dataclasses import dataclass
from pathlib import Path

PIPELINE = "pipeline.json"  # the resolved config of the pipeline, for the stages that see the whole of it


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One process: `python -m module [--config=config] flags --workdir=folder`."""

    name: str
    module: str
    folder: Path
    flags: tuple[str, ...] = ()
    config: str = ""  # configs/<file>.py:<name>
    inputs: tuple[Path, ...] = ()  # files of earlier stages, or of the user
    outputs: tuple[Path, ...] = ()  # files whose presence says that the stage has ended well
    keeps_folder: bool = False  # the folder holds what other stages wrote: a fresh start removes the outputs alone
