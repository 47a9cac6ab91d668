"""A benchmark that finds what it is told to.

python -m tests.helpers.made_up_benchmark --ours=3 --peer=2 --then=fail
"""

import sys
import time

from absl import flags

from benchmarks.shared import record
from runtime import app
from runtime.errors import UsageError

_OURS = flags.DEFINE_float("ours", 3.0, "Our figure.")
_PEER = flags.DEFINE_float("peer", None, "The peer's.")
_THEN = flags.DEFINE_enum("then", "end", ["end", "fail", "break", "hang"], "What comes after it.")


def main(argv):
    """Hands over a row, or two."""
    del argv
    record.hand_over(record.Row("speed", "labels/s", _OURS.value, _PEER.value, against="peer" if _PEER.value else ""))
    if _THEN.value == "fail":
        raise UsageError("--then=fail: it was told to | so it did")
    if _THEN.value == "break":
        sys.exit(7)
    if _THEN.value == "hang":
        time.sleep(600)


if __name__ == "__main__":
    app.run(main)
