"""What Python tells on stderr of errors that it can raise nowhere: not those of reads that Orbax has given up."""

import subprocess
import sys

from tests.helpers.command_line import ROOT

UNRAISABLE = """
from training.saving.abandoned import ignore_abandoned

class Fails:
    def __init__(self, error):
        self.error = error

    def __del__(self):
        raise self.error

async def read():
    try:
        await forever()
    except BaseException as error:
        raise Exception("while reading") from error

class forever:
    def __await__(self):
        yield

ignore_abandoned()
ignore_abandoned()
Fails(RuntimeError("Event loop is closed"))
Fails(RuntimeError("of ours"))
reading = read()
reading.send(None)
del reading
"""


def test_what_orbax_has_given_up_is_not_told_and_all_else_is():
    done = subprocess.run(
        [sys.executable, "-c", UNRAISABLE], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    told = [line for line in done.stderr.splitlines() if "Error" in line or line.startswith("Exception: ")]
    assert told == ["RuntimeError: of ours"]
