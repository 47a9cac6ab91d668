"""What the scripts of this folder share. They run in an environment without Heed: nothing of it is imported here."""

import argparse
import dataclasses
import json
import time


@dataclasses.dataclass
class Timing:
    """Labels that were learned from within a time, which begins after a first batch: that one may set things up."""

    wanted: float  # seconds
    labels: int = 0
    began: float = 0.0
    ended: float = 0.0

    def batch(self, labels: int) -> bool:
        """To be called after each; whether the time is up."""
        self.ended = time.perf_counter()
        if not self.began:
            self.began = self.ended
        else:
            self.labels += labels
        return self.ended - self.began >= self.wanted

    def hand_over(self, library: str) -> None:
        """Prints what the benchmark reads: the last line of the script."""
        rate = self.labels / (self.ended - self.began) if self.labels else None
        print(json.dumps({"library": library, "labels_per_second": rate}))


class TimeIsUpError(Exception):
    """Ends a library's own loop."""


def arguments() -> argparse.Namespace:
    """Of every script: what to learn from, and the sizes that all have."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--sequences", required=True, help="a user a line: user item item …")
    parser.add_argument("--model", default="")
    parser.add_argument("--source", default="", help="where a library lies that is no package")
    parser.add_argument("--length", type=int, required=True)
    parser.add_argument("--dim", type=int, required=True)
    parser.add_argument("--hidden", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    return parser.parse_args()


def events(file: str) -> list[tuple[str, str, int]]:
    """(user, item, time) of all lines; the place in its line is an event's time."""
    with open(file, encoding="utf-8") as lines:
        rows = [line.split() for line in lines]
    return [(user, item, place) for user, *items in rows for place, item in enumerate(items)]
