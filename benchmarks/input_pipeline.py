"""Batches a second that the loader gives, on their way to the device, against those that a training step takes.

  python -m benchmarks.input_pipeline --config=configs/retrieval.py:demo --data=TIMELINES

Loader: data/loader.py as retrieval.train reads it, by a thread ahead that, where there are several devices, puts each
batch there; nothing is computed meanwhile. Step: retrieval.train's own, of one batch over and over. The two take turns.
"""

import statistics
from collections.abc import Callable, Sequence

from absl import flags

from benchmarks.shared import record
from benchmarks.shared.side_by_side import in_turns, ratios, seconds
from runtime import app
from runtime.config import define_config
from runtime.paths import define_path

_CONFIG = define_config("configs/retrieval.py:demo", "What to train.")
_DATA = define_path("data", None, "Folder of timelines, written by data.prepare.", required=True)
_BATCHES = flags.DEFINE_integer("batches", 300, "Batches of a turn of the loader.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 10, "Steps of a turn of the training.", lower_bound=1)
_REPEATS = flags.DEFINE_integer("repeats", 5, "Turns of each.", lower_bound=1)


def per_second(action: Callable[[], object], times: int) -> float:
    """How often a second."""
    return times / seconds(lambda: [action() for _ in range(times)])


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    import jax  # here so that --help does not wait for it

    from benchmarks.shared.our_training import started, training
    from data.loader import iterate
    from data.timelines import Timelines
    from training.compilation import set_cpu_devices
    from training.mesh import shard_batch

    config = _CONFIG.value
    set_cpu_devices(config.cpu_devices)
    # As many epochs as the loader's turns need: its plan is longer than that of a training.
    timelines = Timelines.open(_DATA.value)
    ours = training(config, timelines)
    needed = _BATCHES.value * (_REPEATS.value + 1)
    with config.unlocked():
        config.num_epochs = -(-needed // ours.batches.batches_per_epoch)
    ours = training(config, timelines)
    state, step = started(ours, seed=config.seed)
    batch = shard_batch(ours.batches[0], ours.mesh)
    batches = iterate(ours.batches, lambda batch: shard_batch(batch, ours.mesh))

    def load() -> None:
        jax.block_until_ready(next(batches))

    def train() -> None:
        nonlocal state
        state, metrics = step(state, batch)
        jax.block_until_ready(metrics)

    per_second(load, _BATCHES.value), per_second(train, 1)
    sides = {
        "loaded": lambda: per_second(load, _BATCHES.value),
        "trained": lambda: per_second(train, _STEPS.value),
    }
    rates = in_turns(sides, _REPEATS.value)
    loaded, trained = (statistics.median(of_side) for of_side in rates.values())
    turns = ratios(rates["loaded"], rates["trained"])
    print(f"{config.batch_size} rows of {config.length} a batch; one batch in flight on {ours.mesh.size} device(s)")
    ratio = statistics.median(turns)
    print(f"loaded {loaded:,.0f} batches/s, trained {trained:,.1f}: {ratio:.0f} times what training takes")
    record.hand_over(
        record.Row(
            f"batches of {config.batch_size} rows of {config.length}, loaded",
            "batches/s",
            loaded,
            trained,
            against="what a training step takes",
            turns=turns,
            own=True,
        )
    )


if __name__ == "__main__":
    app.run(main)
