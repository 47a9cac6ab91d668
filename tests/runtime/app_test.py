"""Exit statuses, and that every mistake is one line that says what to do."""

import os
import subprocess
import sys

import pytest

from tests.helpers import command_line

BINARY = """import errno, sys
sys.path.insert(0, ".")
from absl import flags
from runtime import app
from runtime.errors import DataError, FellShortError, HostError, UsageError
WAY = flags.DEFINE_string("way", "", "How to end.")
OF = "results/metrics.json"
ENDS = {
    "usage": UsageError("--k=0: at least 1"),
    "data": DataError("events.parquet: row 3,\\n  column play_ms: -7"),
    "falls short": FellShortError("recall_loss is +3.0%"),
    "other host": HostError("process 1 has ended with an error"),
    "rubbish": DataError("no column 'user_id', only \\x1b[31m\\x00é"),
    "interrupt": KeyboardInterrupt(),
    "disk full": OSError(errno.ENOSPC, "No space left on device", OF),
    "disk full, file unknown": OSError(errno.ENOSPC, "No space left on device"),
    "permission": PermissionError(errno.EACCES, "Permission denied", OF),
    "read-only": OSError(errno.EROFS, "Read-only file system", OF),
    "missing": FileNotFoundError(errno.ENOENT, "No such file or directory", OF),
    "below a file": NotADirectoryError(errno.ENOTDIR, "Not a directory", OF),
    "a file in the way": FileExistsError(errno.EEXIST, "File exists", OF),
    "few file handles": OSError(errno.EMFILE, "Too many open files", OF),
    "bug": ZeroDivisionError("division by zero"),
    "other system error": OSError(errno.EIO, "Input/output error", OF),
}
def main(argv):
    if WAY.value in ENDS:
        raise ENDS[WAY.value]
    return 7 if WAY.value == "status" else None
if __name__ == "__main__":
    app.run(main)
"""

# Exit status, and what the line on stderr says.
ENDS = {
    "usage": (2, "binary: --k=0: at least 1"),
    "data": (3, "binary: events.parquet: row 3, column play_ms: -7"),
    "rubbish": (3, r"binary: no column 'user_id', only \x1b[31m\x00é"),
    "falls short": (4, "binary: recall_loss is +3.0%"),
    "other host": (5, "binary: process 1 has ended with an error"),
    "interrupt": (130, "the same command begins again, after the last checkpoint where it keeps any"),
    "disk full": (2, "results/metrics.json: the disk is full: free some space and run the same command again"),
    "disk full, file unknown": (2, "write: the disk is full"),
    "permission": (2, "results/metrics.json: no permission: change its owner or mode, or choose another path"),
    "read-only": (2, "results/metrics.json: the file system is read-only: choose another --workdir"),
    "missing": (2, "results/metrics.json: no such file or folder: check the path"),
    "below a file": (2, "results/metrics.json: a part of the path is a file"),
    "a file in the way": (2, "results/metrics.json: a file, or a link to nothing, is where a folder has to be"),
    "few file handles": (2, "results/metrics.json: too many open files: allow more"),
}
OTHERS = {
    "well": ["--way="],
    "status": ["--way=status"],
    "bug": ["--way=bug"],
    "other system error": ["--way=other system error"],
    "argument": ["way=usage"],
    "unknown flag": ["--wya=usage"],
}


@pytest.fixture(scope="module")
def ended(tmp_path_factory):
    binary = tmp_path_factory.mktemp("app") / "binary.py"
    binary.write_text(BINARY)
    commands = {**{name: [f"--way={name}"] for name in ENDS}, **OTHERS}
    return command_line.run({name: [str(binary), *flags] for name, flags in commands.items()})


@pytest.mark.parametrize("name", ENDS)
def test_a_mistake_is_one_line_and_a_status(ended, name):
    status, message = ENDS[name]
    assert ended[name].status == status
    assert message in ended[name].stderr
    assert ended[name].stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["argument", "unknown flag"])
def test_a_mistyped_flag_is_one_line(ended, name):
    assert ended[name].status == 2
    assert "--help" in ended[name].stderr
    assert ended[name].stderr.count("\n") == 1


def test_what_main_returns_is_the_status(ended):
    assert (ended["well"].status, ended["well"].stderr) == (0, "")
    assert ended["status"].status == 7


@pytest.mark.parametrize(("name", "error"), [("bug", "ZeroDivisionError"), ("other system error", "OSError")])
def test_what_is_no_users_mistake_keeps_its_traceback(ended, name, error):
    assert ended[name].status == 1
    assert "Traceback" in ended[name].stderr
    assert error in ended[name].stderr


def test_a_reader_that_leaves_is_no_mistake():
    code = "import sys; from runtime import app; app.run(lambda argv: print('seen enough', flush=True))"
    reads, writes = os.pipe()
    os.close(reads)  # before the first line comes
    done = subprocess.run([sys.executable, "-c", code], stdout=writes, stderr=subprocess.PIPE, check=False)
    os.close(writes)
    assert (done.returncode, done.stderr) == (141, b"")
