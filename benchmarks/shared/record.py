"""What a benchmark found, as rows of one kind: beside the text that it prints they go to the file of --json.

`python -m benchmarks` runs benchmarks so, and makes a page of their rows.
"""

import dataclasses
import json
import resource
import statistics
from typing import Any

from absl import flags

from runtime.paths import define_path

flags.disclaim_key_flags()  # --help shows the flag among those of the benchmark
_JSON = define_path("json", "", "Also add the rows to this file, a JSON object a line.")


@dataclasses.dataclass(frozen=True)
class Row:
    """One figure of ours, beside a peer's where there is one.

    Attributes:
      what: what is measured, and how much of it: "labels, one core".
      unit: of both figures.
      ours, peer: medians; None where a side was not run, and `note` says why.
      against: whose figure `peer` is.
      less_is_better: as for times and memory; else more is, as for rates.
      turns: the ratio of each turn, where the two took turns.
      own: the other side is Heed's own too: at another size, in another way, or a part of it.
    """

    what: str
    unit: str
    ours: float | None
    peer: float | None = None
    against: str = ""
    less_is_better: bool = False
    turns: tuple[float, ...] = ()
    note: str = ""
    own: bool = False

    @property
    def ratio(self) -> float | None:
        """How many times as good as the peer we are: above 1 is faster, or smaller. The median of the turns'."""
        if self.turns:
            return statistics.median(self.turns)
        if not self.ours or not self.peer:
            return None
        return self.peer / self.ours if self.less_is_better else self.ours / self.peer


def hand_over(row: Row) -> None:
    """Adds `row` to the file of --json; without that flag nothing happens."""
    if _JSON.value:
        with open(_JSON.value, "a", encoding="utf-8") as file:
            file.write(json.dumps(dataclasses.asdict(row)) + "\n")


def peak_gib() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20)  # Linux counts KiB


def read(lines: str) -> list[Row]:
    """The rows of such a file."""
    found: list[dict[str, Any]] = [json.loads(line) for line in lines.splitlines()]
    return [Row(**{**row, "turns": tuple(row["turns"])}) for row in found]
