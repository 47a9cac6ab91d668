"""Runs a binary: parses flags, calls `main`, turns a user's mistake into one line and an exit status.

Exit statuses: 0 done; 2 the command is at fault; 3 the data is at fault; 4 the model falls short of a gate; 5 another
host has failed; 130 interrupted; 141 whoever read the output stopped reading; 143 stopped by SIGTERM.
"""

import contextlib
import errno
import os
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from absl import app, flags, logging

from runtime.errors import DataError, FellShortError, HostError, UsageError
from runtime.paths import refuse_missing

OTHER_HOST = 5  # exit status
ROOT = Path(__file__).resolve().parent.parent  # of the checkout

_HELP = ("help", "helpfull", "helpshort", "helpxml", "?")  # absl's flags
_at_once = False

# What the operating system says no to, and what a user can do about it.
_REMEDIES = {
    errno.ENOSPC: "the disk is full: free some space and run the same command again",
    errno.EDQUOT: "the disk quota is used up: free some space and run the same command again",
    errno.EACCES: "no permission: change its owner or mode, or choose another path",
    errno.EPERM: "no permission: change its owner or mode, or choose another path",
    errno.EROFS: "the file system is read-only: choose another --workdir",
    errno.ENOENT: "no such file or folder: check the path",
    errno.ENOTDIR: "a part of the path is a file, not a folder: check the path",
    errno.EEXIST: "a file, or a link to nothing, is where a folder has to be: check the path",
    errno.EISDIR: "a folder, not a file: check the path",
    errno.ELOOP: "links that lead in a circle: check the path",
    errno.ENAMETOOLONG: "the name is too long: choose a shorter path",
    errno.EMFILE: "too many open files: allow more, as by `ulimit -n 4096`, and run the same command again",
    errno.ENFILE: "too many open files on this machine: close some programs and run the same command again",
}


def run(main: Callable[[Sequence[str]], int | None]) -> None:
    """Runs `main(argv)` as an absl app and exits with the status described in this module's docstring."""
    logging.set_verbosity(logging.WARNING)

    def guarded(argv: Sequence[str]) -> int:
        try:
            if len(argv) > 1:
                raise UsageError(f"unexpected argument '{argv[1]}': flags are written --name=value, see --help")
            refuse_missing()
            return main(argv) or 0
        except UsageError as error:
            return _fail(error, 2)
        except DataError as error:
            return _fail(error, 3)
        except FellShortError as error:
            return _fail(error, 4)
        except HostError as error:
            return _fail(error, OTHER_HOST)
        except OSError as error:
            if error.errno not in _REMEDIES:
                raise
            return _fail(f"{error.filename or 'write'}: {_REMEDIES[error.errno]}", 2)
        except KeyboardInterrupt:
            return _fail(
                "interrupted; the same command begins again, after the last checkpoint where it keeps any", 130
            )

    try:
        app.run(guarded, flags_parser=_parse_flags)
    except BrokenPipeError:
        # Whoever reads has seen enough, as in `--help | head`; Python's own last flush must not fail.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)  # as of a process that SIGPIPE ended
    except BaseException as error:
        if not _at_once:
            raise
        status = error.code if isinstance(error, SystemExit) and isinstance(error.code, int) else 1
        if not isinstance(error, SystemExit):
            traceback.print_exc()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def leave_at_once() -> None:
    """From now on the process ends without its exit handlers: one of them would wait for other hosts."""
    global _at_once
    _at_once = True


def report(message: object) -> None:
    """The one line of a mistake, on stderr."""
    program = os.path.relpath(sys.argv[0], ROOT) if sys.argv and sys.argv[0] else "heed"
    program = os.path.basename(program) if program.startswith(os.pardir) else program
    name = program.removesuffix(".py").removesuffix(f"{os.sep}__main__").replace(os.sep, ".")
    print(f"{name}: {_one_line(message)}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def flag_mistakes() -> Iterator[None]:
    """Turns what goes wrong while flags are defined or parsed into one line and exit status 2."""
    try:
        yield
    except BrokenPipeError:  # of --help: no mistake
        raise
    except flags.Error as error:
        # A config file's error arrives with its traceback: the last line says what went wrong.
        flag, failed, traceback = str(error).partition(": Error whilst parsing config file")
        reason = f"{flag}: {traceback.strip().splitlines()[-1]}" if failed and traceback.strip() else error
        sys.exit(_fail(f"{_one_line(reason)}; see --help", 2))
    except (KeyError, AttributeError) as error:
        sys.exit(_fail(f"--config: no such setting: {_one_line(error)}; see the config file", 2))
    except UsageError as error:
        sys.exit(_fail(f"--config: {_one_line(error)}", 2))
    except Exception as error:  # a config file is the user's own Python: it may raise anything
        sys.exit(_fail(f"--config: {type(error).__name__}: {_one_line(error)}; see the config file", 2))


def _parse_flags(argv: Sequence[str]) -> list[str]:
    # absl exits with 1 on a bad flag; a user's mistake is 2 here. A config file is loaded while its flag is parsed,
    # so a bad config name arrives here too.
    argv = ["--help" if argument == "-h" else argument for argument in argv]
    asked = any(argument.lstrip("-").split("=")[0] in _HELP for argument in argv[1:])
    with flag_mistakes():
        try:
            return flags.FLAGS(argv)
        except SystemExit as end:  # help was given, which absl ends with 1
            sys.exit(0 if asked else end.code)


def _fail(message: object, status: int) -> int:
    report(message)
    return status


def _one_line(message: object) -> str:
    # str() of a KeyError is the repr of its message, and ml_collections puts one inside an AttributeError.
    while isinstance(message, (KeyError, AttributeError)) and message.args:
        message = message.args[0]
    line = " ".join(str(message).split())
    # Names and cells of a file that is no text must not reach the terminal as they are.
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in line)
