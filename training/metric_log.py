"""Metrics over steps: `metrics.jsonl`, one {"step", "name", "value"} a line, and TensorBoard events."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from tensorboardX import SummaryWriter

from training.distributed.hosts import is_first

FILE = "metrics.jsonl"


class MetricLog:
    """Appends to the logs of a workdir. Of several hosts the first one writes.

    A run that resumes repeats the steps after its checkpoint: `resume` takes what was logged of them out first, so that
    a step has one value.
    """

    def __init__(self, workdir: str | os.PathLike[str]) -> None:
        self._folder = Path(workdir) if is_first() else None
        self._events: SummaryWriter | None = None

    def resume(self, step: int) -> None:
        """Goes on after `step`, 0 for a new run; a line that a kill cut short goes too."""
        if self._folder is None:
            return
        self._folder.mkdir(parents=True, exist_ok=True)
        file = self._folder / FILE
        kept = [line for line in _lines(file) if (logged := _step(line)) is not None and logged <= step]
        partial = file.with_name(FILE + ".partial")
        partial.write_text("".join(kept), encoding="utf-8")
        os.replace(partial, file)
        self.close()
        # TensorBoard itself drops the events of earlier writers from `purge_step` on.
        self._events = SummaryWriter(str(self._folder / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, values: Mapping[str, float]) -> None:
        """Logs each value; one that is not finite is null in the file, as JSON has no other word for it."""
        if self._folder is None:
            return
        if self._events is None:
            self.resume(step - 1)
        assert self._events is not None
        with open(self._folder / FILE, "a", encoding="utf-8") as file:
            for name, value in values.items():
                number = float(value)
                line = {"step": step, "name": name, "value": number if math.isfinite(number) else None}
                file.write(json.dumps(line) + "\n")
                self._events.add_scalar(name, number, step)
        self._events.flush()

    def close(self) -> None:
        """Closes the TensorBoard file."""
        if self._events is not None:
            self._events.close()
            self._events = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True) if file.exists() else []


def _step(line: str) -> int | None:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return None
