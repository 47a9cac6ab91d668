"""The libraries that train beside ours: what each is asked, in a process of its own environment, and what it says."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

LENGTH, DIM, HIDDEN = 50, 64, 128  # T, numbers of a vector, of a GRU's state
SEQUENCES, EQUAL = "each position a label", "equal sequences, one label each"  # rows of ours
_HERE = Path(__file__).parent
_PATIENCE = 300.0  # seconds that a library may take beside its turn: some read the sequences one by one


class NotRunError(Exception):
    """A library that did not train; the message says why."""


class Peer(NamedTuple):
    """A library's training: the script that runs it, its flags, the rows a batch, and the rows of ours beside it."""

    name: str
    script: str
    flags: Mapping[str, Any]
    batch: int
    beside: tuple[str, ...] = (SEQUENCES,)


def peers(gru4rec: str) -> list[Peer]:
    """Those that there are, the official GRU4Rec from the folder `gru4rec`."""
    return [
        Peer("RecBole GRU4Rec", "recbole_training.py", {"model": "GRU4Rec"}, 512, (SEQUENCES, EQUAL)),
        Peer("RecBole SASRec", "recbole_training.py", {"model": "SASRec"}, 512),
        Peer("RecTools SASRec", "rectools_training.py", {}, 128),
        Peer("official GRU4Rec", "gru4rec_training.py", {"source": gru4rec}, 64),
    ]


def measured(peer: Peer, sequences: Path, *, python: str, threads: int, seconds: float) -> tuple[str, float]:
    """The library, by its version, and its labels a second in a turn.

    Args: python, of its environment. Errors: NotRunError.
    """
    if not python:
        raise NotRunError("--python: no environment given")
    if not peer.flags.get("source", True):
        raise NotRunError("--gru4rec: no folder given")
    sizes = {"length": LENGTH, "dim": DIM, "hidden": HIDDEN, "batch": peer.batch}
    asked = {"sequences": sequences, **sizes, "threads": threads, "seconds": seconds, **peer.flags}
    asked |= {"source": os.path.abspath(asked["source"])} if "source" in asked else {}
    command = [
        _from_anywhere(python),
        str(_HERE / peer.script),
        *(f"--{name}={value}" for name, value in asked.items()),
    ]
    try:
        # In the folder of the sequences: some leave files where they run.
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=seconds + _PATIENCE, cwd=sequences.parent
        )
    except OSError as error:
        raise NotRunError(f"--python={python}: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise NotRunError(f"nothing within {_PATIENCE:.0f} seconds") from None
    if done.returncode:
        raise NotRunError((done.stderr.strip() or f"exit status {done.returncode}").splitlines()[-1])
    last = json.loads(done.stdout.splitlines()[-1])
    if not last["labels_per_second"]:
        raise NotRunError("one batch takes longer than --seconds, or is all that there is")
    return last["library"], last["labels_per_second"]


def _from_anywhere(python: str) -> str:
    # Not resolved: an environment's Python is a link, and what it leads to knows nothing of the environment.
    return os.path.abspath(python) if os.sep in python else python
