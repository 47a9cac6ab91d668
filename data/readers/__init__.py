"""The datasets that Heed knows by name: what each is, how it is read, what it has, and what training on it wants.

Each file, or folder, here is a log format, found by lying here: it holds DATASETS, one `Dataset` for each dataset of
this format. Configs read these files, and with them every --help, so they import no slow libraries: what does stands in
a module beside them, of which a function is imported `later`.
"""

import dataclasses
import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data.traits import Traits
from runtime.errors import UsageError

if TYPE_CHECKING:
    from data.raw.tables import Log, Tables

SHORT = "_short"  # NAME_short: the same dataset, learned by tiny models in one epoch, to see every stage run


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A dataset, or one's own logs in a format.

    Attributes:
      name: what configs and flags call it. description: what it is, for --help.
      source_files: folder -> the files that it is read from; DataError where one is missing.
      read: (folder, quarantine=…) -> the canonical tables, every row checked, as `data.raw.rows.read` does; or a log
        to go through, some rows at a time, so that they need not fit into memory.
      traits: what it has; None where only the prepared timelines can tell.
      valid_start, test_start: when its validation and test days begin, like 2022-05-03T00:00+08:00; empty: by
        shares of its time, or of its events (`data.splits.default_moments`).
      min_item_count: items with fewer events before validation are left out.
      options: settings that `source_files`, `read` and `download` take by name -> their defaults, which configs/data.py
        has too.
      settings: stage -> what training on it was found to want, by the setting's name in configs/STAGE.py.
      download: (folder, …) -> where its files lie, fetched into that folder; None where it cannot be fetched.
      short: whether models of it are tiny, for tests.
    """

    name: str
    description: str
    source_files: Callable[..., list[Path]]
    read: Callable[..., "Log | Tables"]
    traits: Traits | None = None
    valid_start: str = ""
    test_start: str = ""
    min_item_count: int = 0
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    settings: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    download: Callable[..., Path] | None = None
    short: bool = False

    def of_stage(self, stage: str) -> dict[str, Any]:
        """Its settings for configs/STAGE.py, for `ConfigDict.update_from_flattened_dict`."""
        return dict(self.settings.get(stage, {}))


def later(function: str, **given: Any) -> Callable[..., Any]:
    """`MODULE.FUNCTION`, imported when it is called, which gets what is `given` besides its arguments.

    Errors: ValueError where the module lies elsewhere than here.
    """
    module, _, name = function.rpartition(".")
    if not module.startswith(f"{__name__}."):  # a name in a string is no import: a pipeline counts what lies here
        raise ValueError(f"later('{function}'): no module of {__name__}; import it inside a function of one that is")
    return lambda *args, **options: getattr(importlib.import_module(module), name)(*args, **given, **options)


@functools.cache
def datasets() -> Mapping[str, Dataset]:
    """All datasets by name. Errors: UsageError for a file that is no reader, or two datasets of one name."""
    known: dict[str, Dataset] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        path = f"data/readers/{module.name}"
        try:
            of_format = importlib.import_module(f"{__name__}.{module.name}").DATASETS
        except Exception as error:  # somebody's new file
            raise UsageError(f"{path}: no reader: {type(error).__name__}: {error}; see BUILD.md") from error
        for dataset in of_format:
            if dataset.name in known:
                raise UsageError(f"{path}: there is a dataset '{dataset.name}' already; give it another name")
            known[dataset.name] = dataset
    return known


def named(name: str) -> Dataset:
    """The dataset called `name`, or `name` and SHORT. Errors: ValueError names those there are."""
    known = datasets()
    if name in known:
        return known[name]
    whole = name.removesuffix(SHORT)
    if whole not in known:
        raise ValueError(f"no dataset '{name}'; there are {', '.join(known)}, each also with {SHORT} for tiny models")
    return dataclasses.replace(known[whole], short=True)
