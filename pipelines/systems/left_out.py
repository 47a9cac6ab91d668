"""What a pipeline leaves out, as its log cannot carry it; shown in the plan, the report and the model's manifest."""

import dataclasses
from pathlib import Path

RESPONSIVENESS = "responsiveness to a no"  # what is left out where nothing can be said of it
FILE = Path("left_out.json")  # in the run folder, for the stages that say it too


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """what: is left out, or made smaller. why: what the log lacks. remedy: what it takes, to be logged or set."""

    what: str
    why: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}, as {self.why}; it takes {self.remedy}"
