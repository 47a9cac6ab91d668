"""Labels a second of one training step over 1, 2, 4 and 8 devices that a CPU is cut into, on either axis of the mesh.

  python -m benchmarks.scaling --config=configs/retrieval.py:demo --data=TIMELINES

Cores stay as many as they are: what several devices lose against one is what laying out the work and talking cost, and
what they gain is by cores that one leaves idle. The batch is the same, each number of devices in a process of its own.
The softmax is retrieval.train's over the whole corpus; by size of the corpus: benchmarks.softmax_memory.
"""

import statistics
import sys
from collections.abc import Sequence

from absl import flags

from benchmarks.shared import record, turns
from benchmarks.shared.waiting import printed
from runtime import app, cores
from runtime.config import define_config
from runtime.paths import define_path

_CONFIG = define_config("configs/retrieval.py:demo", "What to train.")
_DATA = define_path("data", None, "Folder of timelines, written by data.prepare.", required=True)
_DEVICES = flags.DEFINE_multi_integer(
    "devices", [1, 2, 4, 8], "Numbers of devices; the first is what others are held to."
)
_AXES = flags.DEFINE_list("axes", ["data", "model"], "Axes of the mesh that are spread.")
_CHILD = flags.DEFINE_boolean("child", False, "Measure here, as --config says; this program starts itself so.")
for _name in ("steps", "repeats"):
    flags.declare_key_flag(_name)


def rate() -> float:
    """Labels a second of retrieval.train's step here: the median of --repeats after one that compiles."""
    from benchmarks.shared.our_training import labels, training
    from data.timelines import Timelines
    from training.compilation import set_cpu_devices

    config = _CONFIG.value
    set_cpu_devices(config.cpu_devices)
    run = turns.ours(training(config, Timelines.open(_DATA.value)), seed=config.seed, count=labels)
    return statistics.median([run() for _ in range(1 + turns.REPEATS.value)][1:])


def rate_on(devices: int, axis: str) -> float:
    """The same in a process of `devices` devices, all of them on `axis`."""
    mesh = {"data": 1, "model": 1, axis: devices}
    words = ["-m", "benchmarks.scaling", *sys.argv[1:], "--child", f"--config.cpu_devices={devices}"]
    words += [f"--config.mesh.{name}={number}" for name, number in mesh.items()]
    return float(printed(*words, what=f"{devices} devices on `{axis}`").splitlines()[-1])


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    if _CHILD.value:
        print(rate())
        return
    first, *others = _DEVICES.value
    one = rate_on(first, _AXES.value[0])
    print(f"{_CONFIG.value.batch_size} rows of {_CONFIG.value.length}, {cores.count()} core(s)")
    print(f"{first} device(s): {one:,.0f} labels/s")
    for axis in _AXES.value:
        for devices in others:
            several = rate_on(devices, axis)
            print(f"{devices} devices on `{axis}`: {several:,.0f} labels/s, {several / one:.2f} times", flush=True)
            what, against = f"training step, {devices} devices on `{axis}`", f"{first} device(s)"
            record.hand_over(record.Row(what, "labels/s", several, one, against=against, own=True))


if __name__ == "__main__":
    app.run(main)
