"""The engine on a graph of two small stages: what is skipped, what runs again, what a failure and a kill leave."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pipelines.engine import Engine
from pipelines.stage import Stage
from pipelines.state import begin, finished_stages, has_begun, locked
from runtime.errors import UsageError

# A stage that appends to `log`, fails with the status in `fail`, and copies `source` to `out`.
_MODULE = """
    import sys
    from pathlib import Path
    flags = dict(a[2:].split("=", 1) for a in sys.argv[1:])
    folder = Path(flags["workdir"])
    folder.mkdir(exist_ok=True)
    with open(flags["log"], "a") as log:
        log.write(folder.name + ("+" if (folder / "partial").exists() else "") + " ")
    (folder / "partial").touch()
    if Path(flags["fail"]).exists():
        print("toy: no good", file=sys.stderr)
        sys.exit(int(Path(flags["fail"]).read_text()))
    (folder / "out").write_text(Path(flags["source"]).read_text() + flags.get("suffix", ""))
"""


class _Toy:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.log, self.source, self.fail = folder, folder / "log", folder / "source", folder / "fail"
        (folder / "toy.py").write_text(textwrap.dedent(_MODULE))
        self.source.write_text("1")
        monkeypatch.setenv("PYTHONPATH", str(folder))
        self.suffix = ""

    def run(self, *names: str, alone: bool = False, force: bool = False) -> tuple[int, str]:
        """The exit status, and the stages that ran: `+` marks one that found its folder as it had left it."""
        self.log.write_text("")
        state = self.folder / ".pipeline"
        state.mkdir(exist_ok=True)
        with locked(state / "lock") as lock:
            status = self.engine(state, lock).run(names or ("a", "b"), alone=alone, force=force)
        return status, self.log.read_text().strip()

    def engine(self, state: Path, lock: int) -> Engine:
        a, b = self.folder / "a", self.folder / "b"
        common = (f"--log={self.log}", f"--fail={self.fail}")
        first = Stage(
            name="a",
            module="toy",
            folder=a,
            flags=(*common, f"--source={self.source}", f"--suffix={self.suffix}"),
            inputs=(self.source,),
            outputs=(a / "out",),
        )
        second = Stage(
            name="b",
            module="toy",
            folder=b,
            flags=(*common, f"--source={a / 'out'}"),
            inputs=(a / "out",),
            outputs=(b / "out",),
        )
        return Engine([first, second], folder=state, lock=lock)


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Toy:
    return _Toy(tmp_path, monkeypatch)


def test_stages_run_once_and_again_where_an_input_changes(toy: _Toy) -> None:
    assert toy.run() == (0, "a b")
    assert toy.run() == (0, "")
    toy.source.write_text("2")
    assert toy.run() == (0, "a b")
    assert (toy.folder / "b" / "out").read_text() == "2"


def test_a_touched_input_of_equal_content_runs_nothing(toy: _Toy) -> None:
    toy.run()
    toy.source.write_text("1")
    assert toy.run() == (0, "")


def test_a_changed_flag_starts_its_stage_afresh(toy: _Toy) -> None:
    toy.run()
    toy.suffix = "x"
    assert toy.run() == (0, "a b")
    assert (toy.folder / "b" / "out").read_text() == "1x"


def test_a_lost_output_is_made_again_in_the_folder_as_it_is(toy: _Toy) -> None:
    toy.run()
    (toy.folder / "b" / "out").unlink()
    assert toy.run() == (0, "b+")


def test_force_runs_what_is_up_to_date_from_the_start(toy: _Toy) -> None:
    toy.run()
    assert toy.run(force=True) == (0, "a b")


def test_only_runs_one_stage_and_refuses_missing_inputs(toy: _Toy) -> None:
    with pytest.raises(UsageError, match=r"--only=b: .*/a/out is missing"):
        toy.run("b", alone=True)
    toy.run()
    toy.source.write_text("2")
    assert toy.run("b", alone=True) == (0, "")
    assert toy.run("a", alone=True) == (0, "a")


def test_a_failing_stage_stops_the_run_with_its_status_and_resumes(toy: _Toy, capfd: pytest.CaptureFixture) -> None:
    toy.fail.write_text("3")
    assert toy.run() == (3, "a")
    error = capfd.readouterr().err
    assert "toy: no good" in error
    assert "stage a failed: exit status 3" in error
    toy.fail.unlink()
    assert toy.run() == (0, "a+ b")


def test_a_model_that_falls_short_is_nothing_that_the_same_command_mends(
    toy: _Toy, capfd: pytest.CaptureFixture
) -> None:
    toy.fail.write_text("4")
    assert toy.run() == (4, "a")
    error = capfd.readouterr().err
    assert "stage a failed: the model falls short" in error
    assert "goes on from here" not in error


def test_a_stage_that_runs_anyway_is_run_again_in_order(toy: _Toy) -> None:
    toy.run()
    state = toy.folder / ".pipeline"
    with locked(state / "lock") as lock:
        assert toy.engine(state, lock).run_anyway("b") == 0
    assert toy.run() == (0, "b+")


def test_a_finished_stage_is_on_disk_before_the_next_begins(toy: _Toy) -> None:
    toy.run("a")
    assert finished_stages(toy.folder / ".pipeline" / "finished.json").get_values("a")


def test_plan_says_what_would_run(toy: _Toy) -> None:
    toy.run()
    toy.source.write_text("2")
    assert list(toy.engine(toy.folder / ".pipeline", 0).plan()) == [("a", True), ("b", True)]


def test_a_broken_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "finished.json").write_text("{")
    with pytest.raises(UsageError, match=r"finished\.json: not valid JSON; delete it"):
        finished_stages(tmp_path / "finished.json")


def test_only_the_same_work_resumes(tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    assert not has_begun(record, "x")
    begin(record, "x")
    assert has_begun(record, "x")
    assert not has_begun(record, "y")


def test_a_stage_ends_with_a_killed_pipeline(tmp_path: Path) -> None:
    script = f"""
        import sys
        from pathlib import Path
        from pipelines.process import run_to_end
        from pipelines.state import locked
        with locked(Path({str(tmp_path / "lock")!r})) as lock:
            run_to_end([sys.executable, "-c", "print('up', flush=True); import time; time.sleep(60)"],
                       cache=Path("."), lock=lock)
    """
    killed = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE)
    assert killed.stdout is not None
    assert killed.stdout.readline() == b"up\n"
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    with locked(tmp_path / "lock"):  # raises where the stage lives on
        pass
