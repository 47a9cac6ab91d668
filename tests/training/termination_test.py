"""What SIGTERM does to a process that trains."""

import subprocess
import sys

from tests.helpers.command_line import ROOT

# Another signal at every function that the handler of the first one begins with: somewhere in it the second one comes.
SIGNALLED = """
import faulthandler, signal, sys
from training.termination import Termination

sent = 0

def again(frame, event, argument):
    global sent
    if event == "call" and sent < 100:
        sent += 1
        signal.raise_signal(signal.SIGTERM)

faulthandler.dump_traceback_later(60, exit=True)
with Termination() as termination:
    print(termination.asked())
    sys.setprofile(again)
    signal.raise_signal(signal.SIGTERM)
    sys.setprofile(None)
    print(termination.asked(), sent > 0)
"""


def test_a_second_signal_may_come_at_any_point_of_the_first():
    done = subprocess.run(
        [sys.executable, "-c", SIGNALLED], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout.split()) == (0, ["False", "True", "True"]), done.stderr
