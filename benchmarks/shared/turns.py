"""Ours and PyTorch's in turns in one run: machines are shared, so what is compared is measured side by side.

Either is a training step that is run on batches for some steps at a time; what a benchmark counts (examples, labels) is
a function of a batch.
"""

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any

from absl import flags
from ml_collections import ConfigDict

from benchmarks.shared import record
from benchmarks.shared.our_training import Count, Training, endless, started
from benchmarks.shared.side_by_side import in_turns, ratios
from runtime import cores

if TYPE_CHECKING:
    import torch

flags.disclaim_key_flags()  # --help shows these among the flags of the benchmark
_STEPS = flags.DEFINE_integer("steps", 30, "Steps of each in a repeat.", lower_bound=1)
REPEATS = flags.DEFINE_integer("repeats", 9, "Turns of each.", lower_bound=1)
_THREADS = flags.DEFINE_integer("threads", cores.count(), "PyTorch's threads.", lower_bound=1)
_COMPILE = flags.DEFINE_boolean("torch_compile", False, "Compile PyTorch's model with torch.compile.")

Run = Callable[[], float]  # trains for some steps and returns how many examples a second


def prepare() -> bool:
    """Sets PyTorch's threads and precision, before anything else; False where PyTorch is not installed."""
    try:
        import torch
    except ImportError:
        return False
    torch.set_num_threads(_THREADS.value)
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")  # TF32, which is what JAX does on a GPU by default
    return True


def ours(training: Training, *, seed: int, count: Count, compiler_options: dict[str, Any] | None = None) -> Run:
    """The step that the stage trains by, on the batches of its own loader, the loader's time included."""
    import jax

    state, step = started(training, seed=seed, compiler_options=compiler_options)
    batches = endless(training, count)

    def run() -> float:
        nonlocal state
        begin, examples = time.perf_counter(), 0
        for number, batch in islice(batches, _STEPS.value):
            examples += number
            state, metrics = step(state, batch)
        jax.block_until_ready((state, metrics))
        return examples / (time.perf_counter() - begin)

    return run


def torchs(config: ConfigDict, model: "torch.nn.Module", batches: Iterator[Mapping[str, Any]], *, count: Count) -> Run:
    """A step as one would write it in PyTorch: `model` gives the loss of a batch; the batches lie ready in memory.

    On the GPU where PyTorch sees one, its own memory then.
    """
    import torch

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = model.to(device)
    loss_of = torch.compile(model) if _COMPILE.value else model
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )

    def run() -> float:
        taken = list(islice(batches, _STEPS.value))
        ready = [{name: array.to(device) for name, array in batch.items()} for batch in taken]
        begin = time.perf_counter()
        for batch in ready:
            optimizer.zero_grad()
            loss_of(batch).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return sum(count(batch) for batch in taken) / (time.perf_counter() - begin)

    return run


def report(our_run: Run, torch_run: Run | None, *, unit: str) -> None:
    """Prints the medians of each over --repeats turns after one that compiles, and the median ratio with its range.

    torch_run: None where PyTorch is not installed, which is then said.
    """
    import jax

    our_name = f"Heed, jax {jax.__version__}, {jax.devices()[0].device_kind}"
    our_run()
    if torch_run is None:
        rate = statistics.median(our_run() for _ in range(REPEATS.value))
        missing = "PyTorch is not installed: pip install -r requirements-benchmarks.txt"
        print(f"{our_name:<50} {rate:>12,.0f} {unit}\n{missing}")
        record.hand_over(record.Row("training step", unit, rate, against="PyTorch", note=missing))
        return
    torch_run()
    mine, theirs = in_turns({"Heed": our_run, "PyTorch": torch_run}, REPEATS.value).values()
    our_rate, torch_rate, of_turns = statistics.median(mine), statistics.median(theirs), ratios(mine, theirs)
    print(f"{our_name:<50} {our_rate:>12,.0f} {unit}")
    print(f"{_torch_name():<50} {torch_rate:>12,.0f} {unit}")
    print(f"ratio: {statistics.median(of_turns):.2f} (of single turns: {min(of_turns):.2f} to {max(of_turns):.2f})")
    record.hand_over(record.Row("training step", unit, our_rate, torch_rate, against=_torch_name(), turns=of_turns))


def _torch_name() -> str:
    import torch

    how = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{_THREADS.value} threads"
    return f"PyTorch {torch.__version__}, {how}" + (", compiled" if _COMPILE.value else "")
