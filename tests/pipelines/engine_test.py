"""The engine on small stages: what is skipped, what runs again and why, what failures, kills and replacements leave."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from pipelines.graph import configs, process, sources
from pipelines.graph.engine import Engine
from pipelines.graph.process import shares
from pipelines.graph.records import KEPT, locked, log_of, record_of
from pipelines.graph.stage import Stage
from runtime import cores
from runtime.errors import DataError, UsageError
from runtime.progress import progress

# `first` is a module, `second` a package with a __main__, both import `common`, and first `numbers` besides, and `lib`.
_FILES = {
    "first.py": "from numbers_of import value\nfrom common import run\nimport lib\nrun(str(value()))\n",
    "second/__init__.py": "",
    "second/__main__.py": "import common\ncommon.run('')\n",
    "numbers_of.py": '"""Numbers."""\n\n\ndef value():\n    """One."""\n    return 1  # one\n',
    # Appends to `log`, does what the file `do` says, and writes `out`.
    "common.py": """
        import os, sys, time
        from pathlib import Path

        def run(text):
            flags = dict(a[2:].split("=", 1) for a in sys.argv[1:])
            folder = Path(flags["workdir"])
            folder.mkdir(exist_ok=True)
            with open(os.environ["TOY_LOG"], "a") as log:
                log.write(folder.name + ("+" if (folder / "partial").exists() else "") + " ")
            (folder / "partial").touch()
            exec(Path(os.environ["TOY_DO"]).read_text())
            read = Path(flags["source"]).read_text() if "source" in flags else ""
            (folder / "out").write_text(read + text + flags.get("suffix", ""))
    """,
    "../site/lib/__init__.py": "",
    "../site/lib.dist-info/METADATA": "Metadata-Version: 2.1\nName: lib\nVersion: 1.0\nRequires-Dist: deep (>=1)\n",
    "../site/deep.dist-info/METADATA": "Metadata-Version: 2.1\nName: deep\nVersion: 1.0\n",
}


class _Toy:
    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.code, self.suffix, self.with_c = folder, folder / "code", "", False
        self.log, self.do, self.source = folder / "log", folder / "do", folder / "source"
        for name, text in _FILES.items():
            (self.code / name).parent.mkdir(parents=True, exist_ok=True)
            (self.code / name).write_text(textwrap.dedent(text))
        monkeypatch.setattr(sources, "ROOT", self.code)
        monkeypatch.setenv("PYTHONPATH", f"{self.code}{os.pathsep}{folder / 'site'}")
        monkeypatch.syspath_prepend(str(folder / "site"))
        monkeypatch.setattr(sources, "_packages", lambda: {"lib": ["lib"]})
        monkeypatch.setenv("TOY_LOG", str(self.log))
        monkeypatch.setenv("TOY_DO", str(self.do))
        self.do.write_text("")
        self.source.write_text("x")
        self.workdir = folder / "run"
        self.workdir.mkdir()

    def edit(self, name: str, old: str, new: str) -> None:
        text = (self.code / name).read_text()
        assert old in text
        (self.code / name).write_text(text.replace(old, new))

    def stages(self) -> list[Stage]:
        first = Stage(
            name="a",
            module="first",
            flags={"source": self.source.absolute(), "suffix": self.suffix or None},
            outside={"source": self.source},
            writes=("out",),
        )
        second = Stage(
            name="b", module="second", flags={"source": Path("a/out")}, inputs=first.outputs, writes=("out",)
        )
        return [first, second, *([Stage(name="c", module="second", writes=("out",))] if self.with_c else [])]

    def run(self, *names: str, workdir: Path | None = None, **how) -> tuple[int, str]:
        """The exit status, and the stages that ran: `+` marks one that found its folder as it had left it."""
        self.log.write_text("")
        workdir, stages = workdir or self.workdir, self.stages()
        with locked(workdir) as lock:
            status = Engine(stages, workdir=workdir, lock=lock).run(names or [s.name for s in stages], **how)
        return status, self.log.read_text().strip()

    def reasons(self) -> dict[str, str]:
        return dict(Engine(self.stages(), workdir=self.workdir).plan())

    def record(self, name: str) -> dict:
        return json.loads((self.workdir / record_of(name)).read_text())

    def out(self, name: str) -> str:
        return (self.workdir / name / "out").read_text()


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Toy:
    return _Toy(tmp_path, monkeypatch)


def test_stages_run_once_and_again_where_an_input_changes(toy: _Toy) -> None:
    assert toy.run() == (0, "a b")
    assert toy.run() == (0, "")
    toy.source.write_text("y")
    assert toy.reasons() == {"a": "input source", "b": "after a"}
    assert toy.run() == (0, "a b")
    assert toy.out("b") == "y1"


def test_an_input_of_equal_content_runs_nothing(toy: _Toy) -> None:
    toy.run()
    toy.source.write_text("x")
    assert toy.run() == (0, "")


def test_what_comes_out_as_it_was_runs_nothing_after_it(toy: _Toy) -> None:
    toy.run()
    toy.edit("first.py", "str(value())", "str(0 + value())")
    assert toy.run() == (0, "a")


@pytest.mark.parametrize(
    ("old", "new"), [("# one", "# 1"), ('"""Numbers."""\n', '"""A number."""\n\n# A comment.\n'), ('"""One."""', "")]
)
def test_an_edited_comment_or_docstring_runs_nothing(toy: _Toy, old: str, new: str) -> None:
    toy.run()
    toy.edit("numbers_of.py", old, new)
    assert toy.run() == (0, "")


@pytest.mark.parametrize(
    ("name", "old", "new", "ran"),
    [
        ("numbers_of.py", "return 1", "return 2", "a b"),  # a imports it; b reads what a writes
        ("second/__main__.py", "run('')", "run('z')", "b"),  # a package is run by its __main__
        ("second/__init__.py", "", "z = 1\n", "b"),
        ("common.py", "text + flags", 'text + "!" + flags', "a b"),
    ],
)
def test_changed_code_runs_the_stages_that_import_it(toy: _Toy, name: str, old: str, new: str, ran: str) -> None:
    toy.run()
    if old:
        toy.edit(name, old, new)
    else:
        (toy.code / name).write_text(new)
    changed = ran.split()[0]
    assert toy.reasons()[changed] == f"code {name}"
    assert toy.run() == (0, ran)


@pytest.mark.parametrize("package", ["lib", "deep"])
def test_another_version_of_a_package_runs_what_imports_it_or_what_requires_it(toy: _Toy, package: str) -> None:
    toy.run()
    toy.edit(f"../site/{package}.dist-info/METADATA", "Version: 1.0", "Version: 1.1")
    assert toy.reasons()["a"] == f"package {package}"
    assert toy.run() == (0, "a")  # b imports neither, and what it reads is as it was


def test_a_path_that_is_spelled_otherwise_linked_or_moved_runs_nothing(
    toy: _Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert toy.run(workdir=Path("run")) == (0, "a b")
    assert toy.run(workdir=tmp_path / "run") == (0, "")
    assert toy.run(workdir=tmp_path / "code" / ".." / "run") == (0, "")
    (tmp_path / "link").symlink_to(tmp_path / "run")
    assert toy.run(workdir=tmp_path / "link") == (0, "")
    toy.source = toy.source.rename(tmp_path / "moved_source")
    (tmp_path / "run").rename(tmp_path / "moved")
    assert toy.run(workdir=Path("moved")) == (0, "")


def test_a_replaced_folder_comes_back_with_its_recipe(toy: _Toy) -> None:
    toy.run()
    before = toy.record("a")
    toy.suffix = "s"
    assert toy.run() == (0, "a b")
    assert toy.out("b") == "x1s"
    toy.suffix = ""
    assert toy.reasons() == {"a": "set aside, comes back", "b": "after a"}
    assert toy.run() == (0, "")
    assert toy.out("b") == "x1"
    assert toy.record("a") == before
    toy.suffix = "s"
    assert toy.run() == (0, "")
    assert toy.out("b") == "x1s"


def test_unfinished_work_goes_on_when_its_recipe_returns(toy: _Toy) -> None:
    toy.do.write_text("sys.exit(3)")
    assert toy.run() == (3, "a")
    toy.do.write_text("")
    toy.suffix = "s"
    assert toy.run() == (0, "a b")
    toy.suffix = ""
    assert toy.run() == (0, "a+ b")


def test_of_each_stage_the_last_replaced_folders_are_kept(toy: _Toy) -> None:
    for n in range(KEPT + 2):
        toy.suffix = str(n)
        assert toy.run("a") == (0, "a")
    aside = toy.workdir / ".pipeline" / "aside" / "a"
    assert len(list(aside.iterdir())) == KEPT
    toy.suffix = "1"  # KEPT + 1 recipes ago is gone, KEPT ago is not
    assert toy.run("a") == (0, "")
    toy.suffix = "0"
    assert toy.run("a") == (0, "a")


def test_a_folder_of_unknown_work_is_set_aside_too(toy: _Toy) -> None:
    (toy.workdir / "a").mkdir()
    (toy.workdir / "a" / "partial").write_text("mine")
    assert toy.run("a") == (0, "a")
    assert [path.read_text() for path in toy.workdir.rglob("aside/a/*/a/partial")] == ["mine"]


def test_a_lost_output_is_made_again_in_the_folder_as_it_is(toy: _Toy) -> None:
    toy.run()
    (toy.workdir / "b" / "out").unlink()
    assert toy.run() == (0, "b+")


def test_force_runs_what_is_up_to_date_from_the_start(toy: _Toy) -> None:
    toy.run()
    assert toy.run(force=True) == (0, "a b")


def test_only_runs_one_stage_and_refuses_missing_inputs(toy: _Toy) -> None:
    with pytest.raises(UsageError, match=r"--only=b: .*/a/out is missing"):
        toy.run("b", alone=True)
    toy.run()
    toy.source.write_text("y")
    assert toy.run("b", alone=True) == (0, "")
    assert toy.run("a", alone=True) == (0, "a")


def test_a_failing_stage_stops_the_run_with_its_status_and_last_line_and_resumes(
    toy: _Toy, capfd: pytest.CaptureFixture
) -> None:
    toy.do.write_text("print('toy: no good', file=sys.stderr); sys.exit(3)")
    assert toy.run() == (3, "a")
    printed = capfd.readouterr()
    assert "toy: no good" in printed.out
    assert printed.err.count("\n") == 1
    assert "stage a failed: exit status 3: toy: no good; " in printed.err
    toy.do.write_text("")
    assert toy.run() == (0, "a+ b")


def test_a_stage_that_writes_nothing_fails(toy: _Toy, capfd: pytest.CaptureFixture) -> None:
    toy.do.write_text("sys.exit(0)")
    assert toy.run() == (1, "a")
    assert "stage a failed: exit status 1: ended well but did not write " in capfd.readouterr().err


def test_a_model_that_falls_short_stops_what_needs_it_alone(toy: _Toy, capfd: pytest.CaptureFixture) -> None:
    toy.with_c = True
    toy.do.write_text("sys.exit(4) if folder.name == 'a' else None")
    assert toy.run() == (4, "a c")
    error = capfd.readouterr().err
    assert "stage a failed: the model falls short" in error
    assert "goes on from here" not in error
    assert toy.run() == (4, "a+")


def test_a_stage_that_runs_anyway_is_run_again_in_order(toy: _Toy) -> None:
    toy.run()
    with locked(toy.workdir) as lock:
        assert Engine(toy.stages(), workdir=toy.workdir, lock=lock).run_anyway("b") == 0
    toy.log.write_text("")
    assert toy.run() == (0, "b")


def test_packages_are_found_by_the_modules_that_they_provide_with_what_they_require() -> None:
    found = sources.versions({"absl", "flax", "not_installed"})
    assert {"absl-py", "flax", "jax", "jaxlib", "numpy"} <= found.keys()
    assert not {"scann", "tensorflow-cpu", "matplotlib"} & found.keys()


def test_log_seconds_exit_status_commit_and_versions_are_kept(toy: _Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "commit", lambda: "abc+")
    toy.do.write_text("print('out'); print('1%\\r2%', file=sys.stderr); folder.name == 'b' and sys.exit(5)")
    assert toy.run() == (5, "a b")
    a, b = toy.record("a"), toy.record("b")
    assert (a["status"], b["status"]) == (0, 5)
    assert a["commit"] == b["commit"] == "abc+"
    assert a["recipe"]["package lib"] == a["recipe"]["package deep"] == "1.0"
    assert a["recipe"]["package python"] == ".".join(map(str, sys.version_info[:3]))
    assert a["seconds"] > 0
    for name in "ab":
        assert (toy.workdir / log_of(name)).read_text().splitlines() == ["out", "2%"]  # of a bar its last state


def test_the_commit_says_whether_files_differ_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "ROOT", tmp_path)
    assert process.commit() == ""
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    (tmp_path / "file").touch()
    for words in (["init", "-q"], ["add", "file"], ["commit", "-qm", "a"]):
        subprocess.run([*git, *words], check=True)
    clean = process.commit()
    assert len(clean) == 40
    (tmp_path / "file").write_text("edited")
    assert process.commit() == f"{clean}+"


def _edit_while(toy: _Toy, folder: str, *, name: str, text: str) -> None:
    # The stage of this folder writes a file of the code, as somebody at an editor might just then.
    path = toy.code / name
    toy.do.write_text(f"folder.name == {folder!r} and Path({str(path)!r}).write_text({text!r})")


def test_a_stage_is_recorded_with_the_code_and_commit_that_it_starts_with(
    toy: _Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    second = toy.code / "second/__init__.py"
    monkeypatch.setattr(process, "commit", lambda: "new" if "z = 1" in second.read_text() else "old")
    _edit_while(toy, "a", name="second/__init__.py", text="z = 1\n")  # b has yet to start
    assert toy.run() == (0, "a b")
    assert (toy.record("a")["commit"], toy.record("b")["commit"]) == ("old", "new")
    assert toy.record("b")["recipe"]["code second/__init__.py"] == sources.code(second)
    toy.do.write_text("")
    assert toy.run() == (0, "")
    second.write_text("")
    assert toy.reasons() == {"a": "", "b": "code second/__init__.py"}


@pytest.mark.parametrize("text", ["def value():\n    return 22\n", "def value("])  # the latter saved too soon
def test_a_stage_whose_code_changes_while_it_runs_runs_again(
    toy: _Toy, capfd: pytest.CaptureFixture, text: str
) -> None:
    was = (toy.code / "numbers_of.py").read_text()
    _edit_while(toy, "a", name="numbers_of.py", text=text)
    assert toy.run() == (0, "a b")
    said = [line for line in capfd.readouterr().out.splitlines() if "changed while it ran" in line]
    assert said == ["  a: changed while it ran: code numbers_of.py; it runs again the next time"]
    assert (toy.record("a")["status"], toy.record("a")["recipe"]) == (0, {})
    assert toy.out("b") == "x1"  # of the code from before, which a had imported
    toy.do.write_text("")
    (toy.code / "numbers_of.py").write_text(was.replace("return 1", "return 333"))
    assert toy.run() == (0, "a b")
    assert toy.out("b") == "x333"
    assert toy.run() == (0, "")


def test_a_stage_whose_input_changes_while_it_runs_runs_again(toy: _Toy, capfd: pytest.CaptureFixture) -> None:
    toy.do.write_text(f"folder.name == 'a' and Path({str(toy.source)!r}).write_text('longer')")
    assert toy.run("a") == (0, "a")
    assert "  a: changed while it ran: input source; it runs again the next time" in capfd.readouterr().out
    toy.do.write_text("")
    assert toy.run("a") == (0, "a")


def test_a_finished_stage_is_on_disk_before_the_next_begins(toy: _Toy) -> None:
    toy.do.write_text(f"os.path.exists({str(toy.workdir / record_of('a'))!r}) or sys.exit(9)")
    toy.run("a")
    assert toy.record("a")["status"] == 0


def test_independent_stages_run_side_by_side(toy: _Toy, capfd: pytest.CaptureFixture) -> None:
    # Each waits for the other to have begun: one after another they would wait in vain.
    toy.with_c = True
    meet = """
        (folder.parent / f"{folder.name}.begun").touch()
        other = folder.parent / {"a": "c.begun", "b": "a.begun", "c": "a.begun"}[folder.name]
        waited = 0
        while not other.exists() and waited < 1000:
            waited += 1
            time.sleep(0.01)
        sys.exit(7) if not other.exists() else None
    """
    toy.do.write_text(textwrap.dedent(meet))
    status, ran = toy.run(jobs=2)
    assert status == 0
    assert sorted(ran.split()) == ["a", "b", "c"]
    lines = capfd.readouterr().out.splitlines()
    assert sorted(line.partition(":")[0] for line in lines) == sorted(2 * ["[1/3] a", "[2/3] b", "[3/3] c"])
    assert lines.index("[2/3] b: begins") > next(n for n, line in enumerate(lines) if line.startswith("[1/3] a: ends"))


def test_each_job_has_a_gpu_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def gpus(jobs: int) -> list[str | None]:
        return [share.settings.get("CUDA_VISIBLE_DEVICES") for share in shares(jobs)]

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    assert gpus(2) == ["3", "5"]
    with pytest.raises(UsageError, match="--jobs=3: a stage each for 2 GPU"):
        shares(3)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus(3) == [None, None, None]
    # Where nothing is said, those that the driver lists.
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    driver = tmp_path / "nvidia-smi"
    driver.write_text("#!/bin/sh\necho 'GPU 0: one (UUID: x)'\necho 'GPU 1: another (UUID: y)'\n")
    driver.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    assert gpus(2) == ["0", "1"]


def test_jobs_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(cores, "usable", lambda: [0, 1, 2, 5, 7])
    assert [share.cores for share in shares(2)] == [[0, 2, 7], [1, 5]]
    # Of more jobs than cores some share one.
    assert [share.cores for share in shares(6)] == [[0], [1], [2], [5], [7], [0]]
    assert [share.cores for share in shares(1)] == [()]  # alone: all, whichever they are


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the operating system does not confine a process")
def test_a_stage_runs_on_its_cores_and_knows_how_many_they_are(tmp_path: Path) -> None:
    last = cores.usable()[-1]
    code = "from runtime import cores; print(cores.usable(), cores.count())"
    started = process.Process(["-c", code], log=tmp_path / "log", lock=None, settings={}, cores=[last])
    assert started.close()[0] == 0
    assert (tmp_path / "log").read_text() == f"[{last}] 1\n"


def test_bars_are_drawn_into_a_log_as_on_our_terminal_where_we_have_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert process.as_on_this_terminal() == {}
    assert progress(total=1, label="bar").mininterval == 10
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    for name, value in process.as_on_this_terminal().items():
        monkeypatch.setenv(name, value)
    assert progress(total=1, label="bar").mininterval == 0.2


def test_the_list_is_given_during_a_run(toy: _Toy) -> None:
    toy.run("a")
    with locked(toy.workdir):
        assert toy.reasons() == {"a": "", "b": "new"}


def test_a_killed_pipeline_ends_its_stage_and_goes_on_where_it_was(toy: _Toy, tmp_path: Path) -> None:
    script = f"""
        import sys
        from pathlib import Path
        from pipelines.graph.process import Process
        from pipelines.graph.records import locked
        with locked(Path({str(tmp_path)!r})) as lock:
            child = Process(["-c", "print('up'); import time; time.sleep(60)"],
                            log=Path({str(tmp_path / "child.log")!r}), lock=lock, settings={{}})
            while not child.ended():
                child.show()
    """
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent.parent)}
    killed = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, env=environment)
    assert killed.stdout is not None
    assert killed.stdout.readline() == b"up\n"
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    with locked(tmp_path):  # raises where the stage lives on
        pass


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_stopped_pipeline_stops_its_stages_and_the_same_command_goes_on(
    toy: _Toy, monkeypatch: pytest.MonkeyPatch, jobs: int
) -> None:
    def stop(seconds: float) -> None:
        if (toy.workdir / "a" / "partial").exists():
            raise SystemExit(143)  # as run.py does on SIGTERM

    toy.do.write_text("time.sleep(60)")
    with monkeypatch.context() as stopping:
        stopping.setattr("pipelines.graph.engine.time.sleep", stop)
        with pytest.raises(SystemExit):
            toy.run(jobs=jobs)
    assert toy.record("a")["status"] == 128 + signal.SIGTERM
    toy.do.write_text("")
    assert toy.run() == (0, "a+ b")


def test_a_broken_record_is_named(toy: _Toy) -> None:
    toy.run()
    (toy.workdir / record_of("a")).write_text("{")
    with pytest.raises(DataError, match=r"a\.json: not valid JSON .* delete it"):
        toy.run()


def test_a_config_has_the_values_that_its_file_has_now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage that begins hours after the pipeline reads the file as it is then."""
    monkeypatch.setattr(sources, "ROOT", tmp_path)
    file = tmp_path / "configs" / "edited.py"
    file.parent.mkdir()

    def write(value: str) -> None:
        lines = ["from ml_collections import ConfigDict", "def get_config(name):"]
        file.write_text("\n".join([*lines, f"    return ConfigDict({{'name': name, 'value': {value}}})\n"]))

    for value, found in (("(1, 2)", [1, 2]), ("2", 2), ("(1, 2)", [1, 2])):
        write(value)
        assert configs.values("configs/edited.py:some") == {"name": "some", "value": found}
    write("(1")  # half of an edit
    assert "SyntaxError" in configs.values("configs/edited.py:some")["error"]


@pytest.mark.parametrize(("visible", "jobs"), [("-1", 2), ("", 2), ("0,-1,1", 1), ("0,1", 2)])
def test_devices_after_one_that_is_none_are_not_seen(monkeypatch: pytest.MonkeyPatch, visible: str, jobs: int) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert len(shares(jobs)) == jobs
    if visible.startswith("0"):
        with pytest.raises(UsageError, match=rf"a stage each for {jobs} GPU"):
            shares(jobs + 1)
