"""Runs the functions of shards under Apache Beam: on any of its runners, each shard wherever a worker is free.

Beam moves no rows: a shard's events are files in a folder that all workers see under the same path, as on one machine
or a file system that they share, and so are the results. What is run, and in which order results are taken, is the same
as without Beam, and so is every byte of the timelines.

apache-beam asks for older packages than the rest of Heed: requirements-beam.txt, an environment of its own.
"""

import pickle
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from runtime.errors import DataError, UsageError


def check(runner: str) -> None:
    """Errors: UsageError where Beam is not installed."""
    try:
        import apache_beam  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: F401
    except ImportError:
        raise UsageError(
            f"--runner={runner}: needs apache-beam; pip install -r requirements-beam.txt, in an environment of its own"
        ) from None


class OnRunner:
    """Maps functions over shards, as `data.shards.gathered.one_by_one` does, by Beam's `runner`.

    folder: which all workers see. options: of Beam, as on a command line, such as --direct_num_workers=2.
    """

    def __init__(self, runner: str, folder: Path, options: Sequence[str] = ()):
        self._runner, self._folder, self._options = runner, folder, options

    def __call__(self, function: Callable[..., Any], arguments: Sequence[tuple[Any, ...]]) -> Iterator[Any]:
        """The results, in order.

        Errors: those of `function`; UsageError where the runner fails, DataError where a shard has no result of this
        run.
        """
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions

        run = uuid.uuid4().hex
        folder = self._folder.absolute() / f"run-{run}"
        folder.mkdir(parents=True)
        # What is the same for all shards, such as the items of the log, is not sent to each.
        (folder / "function").write_bytes(pickle.dumps(function))
        work = [(str(folder), number, pickle.dumps(each)) for number, each in enumerate(arguments)]
        try:
            options = PipelineOptions([f"--runner={self._runner}", *self._options])
            with beam.Pipeline(options=options) as pipeline:
                _ = pipeline | beam.Create(work) | beam.Reshuffle() | beam.Map(_run)
        except Exception as error:  # whatever a runner makes of what is wrong with it or with a worker
            told = next((line for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
            raise UsageError(f"--runner={self._runner}: Beam has failed: {told.strip()}") from error
        for number in range(len(arguments)):
            yield result(folder, number)


def _run(work: tuple[str, int, bytes]) -> int:
    name, number, arguments = work
    folder = Path(name)
    if not (folder / "function").is_file():
        raise FileNotFoundError(f"{folder}: a worker does not see this folder; give a --workdir that all workers share")
    try:
        answer: Any = pickle.loads((folder / "function").read_bytes())(*pickle.loads(arguments))
    except (DataError, UsageError) as error:
        answer = error
    # A worker that is thought lost may run beside the one that takes its place: each writes a file of its own.
    partial = folder / f"result-{number}.{uuid.uuid4().hex}"
    partial.write_bytes(pickle.dumps((folder.name, number, answer), protocol=5))
    partial.rename(folder / f"result-{number}")
    return number


def result(folder: Path, number: int) -> Any:
    """What the function gave for a shard. Errors: its own; DataError where it is missing or of another run."""
    path = folder / f"result-{number}"
    again = "run the same command again, with a --workdir that all workers share"
    try:
        run, place, answer = pickle.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError(
            f"{path}: missing: the worker of shard {number} has written elsewhere or not at all; {again}"
        ) from None
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError) as error:
        raise DataError(f"{path}: cut short or damaged ({error}); {again}") from None
    if (run, place) != (folder.name, number):
        raise DataError(f"{path}: of another run ({run}, shard {place}); {again}")
    if isinstance(answer, Exception):
        raise answer
    return answer
