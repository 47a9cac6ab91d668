"""The batch jobs of jobs/, run dry: schedulers and machines are programs that write down what they are asked for."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from runtime import app
from tests.helpers import only_flags, several_hosts
from tests.helpers.command_line import Ended
from tests.logs import random_timelines

JOBS = app.ROOT / "jobs"
SCRIPTS = sorted(JOBS.glob("*.sh"))
MISTAKES = [2, 3, 4]  # exit statuses of runtime/app.py that the same command gives again


def program(folder, name, text):
    """A program called `name` in `folder`, which writes its words into NAME.calls there, and then does `text`."""
    path = folder / name
    path.write_text(f'#!/bin/bash\necho "$*" >>{folder}/{name}.calls\n{text}\n')
    path.chmod(0o755)
    return path


def calls(folder, name):
    path = folder / f"{name}.calls"
    return path.read_text().splitlines() if path.exists() else []


def environment(folder, **more):
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", **{n: str(value) for n, value in more.items()}}


def run(script, env, timeout=60):
    """How it ended; what it has started ends with it."""
    job = subprocess.Popen(
        ["bash", str(script)],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said = job.communicate(timeout=timeout)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGKILL)
    return Ended(job.returncode, *said)


def python_commands(path):
    """[module, flag, …] of each `-m module --flag…` in a job, its variables replaced by words without meaning."""
    text = re.sub(r"\\\n", " ", path.read_text())
    if path.suffix == ".yaml":
        text = " ".join(" ".join(job["command"] + job["args"]) for job in containers(path))
    text = text.replace('"$CONFIG"', "configs/retrieval.py:standard").replace('"$config"', "configs/retrieval.py")
    for line in text.splitlines():
        if found := re.search(r"-m (\w+\.\w+) ((?:--\S+\s*)+)", line):
            yield [found[1], *re.sub(r'"?\$\w+"?', "0", found[2]).split()]


def containers(path):
    return [
        container
        for document in yaml.safe_load_all(path.read_text())
        if document["kind"] == "Job"
        for container in document["spec"]["template"]["spec"]["containers"]
    ]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_bash(script):
    assert subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True).stderr == ""
    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[1].startswith("# ")  # says what it is, and what to set


def test_every_command_has_flags_that_its_program_knows():
    commands = {path.name: list(python_commands(path)) for path in JOBS.iterdir()}
    assert {name for name, found in commands.items() if found} == {"slurm.sh", "tpu_host.sh", "kubernetes.yaml"}
    given = {f"{name} {n}": one for name, found in commands.items() for n, one in enumerate(found)}
    given["mistaken"] = ["retrieval.train", "--data=a", "--workdir=b", "--no_such_flag=1"]
    ended = only_flags.of(given)
    assert ended.pop("mistaken").status == 2
    assert {name: one.stderr for name, one in ended.items() if one.status} == {}


def test_the_pods_of_kubernetes_find_each_other():
    service, job = yaml.safe_load_all((JOBS / "kubernetes.yaml").read_text())
    spec, name = job["spec"], job["metadata"]["name"]
    (container,) = spec["template"]["spec"]["containers"]
    flags = dict(re.findall(r"--(\w+)=(\S+)", container["args"][0]))
    assert (job["kind"], spec["completionMode"]) == ("Job", "Indexed")
    assert int(flags["num_processes"]) == spec["completions"] == spec["parallelism"]
    # Pod 0's name in the headless service, which has to know it before it is ready.
    assert flags["coordinator"] == f"{name}-0.{service['metadata']['name']}:{service['spec']['ports'][0]['port']}"
    assert spec["template"]["spec"]["subdomain"] == service["metadata"]["name"]
    assert (service["spec"]["clusterIP"], service["spec"]["selector"]) == ("None", {"job-name": name})
    assert service["spec"]["publishNotReadyAddresses"]
    assert flags["process_id"] == '"$JOB_COMPLETION_INDEX"'
    # A mistake ends the job, all else is tried again; a policy asks for pods that never restart in place.
    fail, ignore = spec["podFailurePolicy"]["rules"]
    assert fail == {
        "action": "FailJob",
        "onExitCodes": {"containerName": container["name"], "operator": "In", "values": MISTAKES},
    }
    assert ignore == {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    mounted = {mount["name"] for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in spec["template"]["spec"]["volumes"]}


def slurm(folder, **more):
    return environment(folder, HEED=app.ROOT, PYTHON=sys.executable, SLURM_JOB_ID=7, **more)


def test_slurm_starts_the_training_and_passes_its_status_on(tmp_path):
    program(tmp_path, "srun", "exit 3")
    program(tmp_path, "scontrol", "")
    ended = run(JOBS / "slurm.sh", slurm(tmp_path, DATA="/the/log", WORKDIR="/the/run"))
    assert ended.status == 3
    (call,) = calls(tmp_path, "srun")
    assert "-m retrieval.train" in call
    assert "--data=/the/log --workdir=/the/run --coordinator=auto" in call
    assert calls(tmp_path, "scontrol") == []  # nothing to go on with


@pytest.mark.parametrize(("status", "requeued"), [(143, ["requeue 7"]), (0, [])])
def test_slurm_out_of_time_saves_and_goes_on(tmp_path, status, requeued):
    # The training; srun, which kills it where it is itself asked to end; scancel, which hands a signal to it.
    own = tmp_path / "pid"
    program(tmp_path, "training", f"trap 'exit {status}' TERM; echo $$ >{own}; while true; do sleep 0.1; done")
    killing = f"trap 'kill -KILL $(cat {own}); exit 137' TERM"
    started = f"while [ ! -s {own} ]; do sleep 0.1; done; touch {tmp_path}/ready; wait %1"
    program(tmp_path, "srun", f"{killing}; training & {started}")
    program(tmp_path, "scancel", f"kill -TERM $(cat {own})")
    program(tmp_path, "scontrol", "")
    job = subprocess.Popen(["bash", str(JOBS / "slurm.sh")], env=slurm(tmp_path))
    try:
        until(lambda: (tmp_path / "ready").exists())
        job.send_signal(signal.SIGUSR1)
        assert job.wait(timeout=60) == status
    finally:
        job.kill()
    assert calls(tmp_path, "scontrol") == requeued
    assert calls(tmp_path, "scancel") == ["--signal=TERM 7"]


def until(what):
    end = time.monotonic() + 60
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.long
def test_slurm_trains_with_two_processes(tmp_path):
    log = random_timelines.write(tmp_path / "timelines")
    port = several_hosts.free_port()
    start = ""
    for number in range(2):
        names = " ".join(f"{n}={value}" for n, value in several_hosts.slurm_names(number, 2, port).items())
        start += f'env {names} JAX_PLATFORMS=cpu "${{@:2}}" --config.num_epochs=1 &\n'  # the first is srun's own flag
    program(tmp_path, "srun", start + "wait -n && wait -n")
    env = slurm(
        tmp_path,
        DATA=log.path,
        WORKDIR=tmp_path / "run",
        CONFIG="configs/retrieval.py:tiny,no_dislike_signal_paper_tower",
    )
    ended = run(JOBS / "slurm.sh", env, timeout=400)
    assert ended.status == 0, ended.stderr
    assert "on 2 device(s)" in ended.stdout
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["steps"] > 0


# What a slice is found in, one state after the other; on an ACTIVE one the status that its hosts left.
GCLOUD = """
case "$*" in
  *describe*)
    next=$(head -1 {0}/states); sed -i 1d {0}/states
    case $next in
      NONE) echo "ERROR: NOT_FOUND: no such resource" >&2; exit 1 ;;
      UNREACHABLE) echo "ERROR: connection reset" >&2; exit 1 ;;
      *) echo "$next" ;;
    esac ;;
  *ssh*) cat {0}/status 2>/dev/null ;;
  *create*) [ -s {0}/states ] ;;
esac
"""


def slice_of(folder, *, states, status):
    """The calls of jobs/tpu_vm.sh on a slice that is found in these states, and how the script ended."""
    (folder / "states").write_text("".join(f"{state}\n" for state in states))
    (folder / "status").write_text(status)
    program(folder, "gcloud", GCLOUD.format(folder))
    named = {"PROJECT": "project", "ZONE": "zone", "NFS": "10.0.0.2:/share", "SECONDS_BETWEEN": 0}
    ended = run(JOBS / "tpu_vm.sh", environment(folder, **named, CONFIG="configs/retrieval.py:standard,skip_label"))
    made = [call.removeprefix("compute tpus ") for call in calls(folder, "gcloud")]
    return ended, [call for call in made if " describe " not in call]


def test_a_slice_is_asked_for_again_when_it_was_preempted(tmp_path):
    states = [
        "NONE",
        "WAITING_FOR_RESOURCES",
        "UNREACHABLE",
        "PROVISIONING",
        "SUSPENDING",
        "SUSPENDED",
        "PROVISIONING",
        "ACTIVE",
    ]
    ended, made = slice_of(tmp_path, states=states, status="0\n")
    assert ended.status == 0, ended.stderr
    what = [" ".join(call.split()[:2]) for call in made]
    queued = "queued-resources"
    assert what == [
        f"{queued} create",
        f"{queued} delete",
        f"{queued} create",
        "tpu-vm ssh",
        f"{queued} delete",
    ]
    create = made[0].split()
    assert {"--project=project", "--zone=zone", "--spot", "--node-id=heed"} <= set(create)
    (startup,) = (word for word in create if word.startswith("--metadata-from-file="))
    assert Path(startup.removeprefix("--metadata-from-file=startup-script=")).samefile(JOBS / "tpu_host.sh")
    # A config has commas, at which gcloud would cut: `;` separates.
    assert (
        "--metadata=^;^nfs=10.0.0.2:/share;config=configs/retrieval.py:standard,skip_label;data=timelines;workdir=run"
        in create
    )


def test_a_mistake_ends_the_job_and_is_told(tmp_path):
    ended, made = slice_of(tmp_path, states=["UNREACHABLE", "NONE"], status="")
    assert ended.status == 1
    assert "ERROR: connection reset" in ended.stderr
    assert made == []


def test_a_training_that_failed_ends_with_its_status_and_costs_no_more(tmp_path):
    ended, made = slice_of(tmp_path, states=["ACTIVE"], status="3\n")
    assert ended.status == 3
    assert [" ".join(call.split()[:2]) for call in made] == ["tpu-vm ssh", "queued-resources delete"]


def host_of(folder, *, number, statuses, meanwhile=""):
    """How jobs/tpu_host.sh ends on the host of that number, where the training ends so, one time after the other.

    meanwhile: what happens while it installs.
    """
    (folder / "share" / "heed").mkdir(parents=True, exist_ok=True)
    (folder / "statuses").write_text("".join(f"{status}\n" for status in statuses))
    values = {"data": "timelines", "workdir": "run", "config": "configs/retrieval.py:standard", "nfs": "host:/share"}
    values["agent-worker-number"] = number
    answers = "".join(f"*/{name}) echo {value} ;;\n" for name, value in values.items())
    program(folder, "curl", f'case "${{@: -1}}" in\n{answers}esac')
    for name in ("apt-get", "mount"):
        program(folder, name, "")
    program(folder, "mountpoint", "exit 1")
    (folder / "bin").mkdir()
    installs = f'[ "$2" = pip ] && {{ {meanwhile or "true"}; exit; }}'
    program(
        folder / "bin",
        "python",
        f"{installs}; s=$(head -1 {folder}/statuses); sed -i 1d {folder}/statuses; exit $s",
    )
    env = environment(folder, SHARE=folder / "share", VENV=folder, SECONDS_BETWEEN=0)
    ended = run(JOBS / "tpu_host.sh", env)
    trained = [call for call in calls(folder / "bin", "python") if "retrieval.train" in call]
    status = folder / "share" / "run.status"
    return ended, trained, status.read_text() if status.exists() else ""


@pytest.mark.parametrize(
    ("number", "statuses", "left"),
    [
        (0, [0], "0\n"),
        (1, [0], ""),  # the first host may still be writing
        (0, [5, 134, 0], "0\n"),  # another host was gone, and came back
        (1, [3], "3\n"),
        (0, [143, 0], "0\n"),  # one of the hosts was stopped, which ends the training on all
        (1, [143, 5, 0], ""),
    ],
)
def test_a_host_trains_until_there_is_nothing_more_to_do(tmp_path, number, statuses, left):
    ended, trained, status = host_of(tmp_path, number=number, statuses=statuses)
    assert ended.stderr == ""
    assert len(trained) == len(statuses)
    assert status == left
    share = tmp_path / "share"
    assert f"--data={share}/timelines --workdir={share}/run --coordinator=auto" in trained[0]
    assert calls(tmp_path, "mount") == [f"-t nfs host:/share {share}"]


def test_only_what_an_earlier_slice_has_left_is_removed(tmp_path):
    for folder in ("earlier", "sooner"):
        (tmp_path / folder / "share" / "heed").mkdir(parents=True)
    old = tmp_path / "earlier" / "share" / "run.status"
    old.write_text("3\n")
    os.utime(old, (0, 0))
    ended, _, status = host_of(tmp_path / "earlier", number=0, statuses=[5, 0], meanwhile=f"ls {old.parent} >&2")
    assert (status, ended.stderr) == ("0\n", "heed\n")  # gone before what takes long
    # Another host of this slice was ready sooner, and has failed.
    failed = f"echo 4 >{tmp_path}/sooner/share/run.status"
    _, trained, status = host_of(tmp_path / "sooner", number=0, statuses=[5, 0], meanwhile=failed)
    assert (len(trained), status) == (1, "4\n")
