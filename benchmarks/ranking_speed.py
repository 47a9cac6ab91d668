"""Examples a second of a training step of ranking.train, against the same model in PyTorch, in one run.

  pip install -r requirements-benchmarks.txt
  python -m benchmarks.ranking_speed --config=configs/ranking.py:kuairand_pure --data=TIMELINES

Ours is what ranking.train runs, its loader included. PyTorch's (benchmarks/peers/ranker.py) batches are the same ones
and lie ready in memory. The two take turns; the table shows medians over --repeats.
"""

import time
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from absl import flags
from ml_collections import ConfigDict

from benchmarks.turns import Run, prepare, report
from runtime import app, cores
from runtime.config import define_config
from runtime.errors import UsageError
from runtime.paths import define_path

if TYPE_CHECKING:
    from data.impressions import ImpressionBatches
    from data.timelines import Timelines
    from ranking.tables import Tables

_CONFIG = define_config("configs/ranking.py:kuairand_pure", "What to train.")
flags.declare_key_flag("keep_memory")
_DATA = define_path("data", None, "Folder of timelines, written by data.prepare.", required=True)
_STEPS = flags.DEFINE_integer("steps", 30, "Steps of each in a repeat.", lower_bound=1)
_REPEATS = flags.DEFINE_integer("repeats", 9, "Turns of each.", lower_bound=1)
_THREADS = flags.DEFINE_integer("threads", cores.count(), "PyTorch's threads.", lower_bound=1)

_MANY_EPOCHS = 10  # more steps than are taken


def batches_of(config: ConfigDict, timelines: "Timelines", tables: "Tables", shards: int) -> "ImpressionBatches":
    """The batches that ranking.train learns from."""
    from data.impressions import ranked_positions
    from ranking import tasks
    from ranking.inputs import Impressions
    from ranking.run import training_batches

    config = ConfigDict({**config.to_dict(), "num_epochs": _MANY_EPOCHS})
    labels = tasks.labels(config.tasks, timelines, tables.thresholds, None)
    impressions = Impressions(timelines, tables, length=config.length)
    positions = ranked_positions(timelines, *config.train_on)
    return training_batches(config, positions, timelines, impressions, labels, num_shards=shards)


def ours(config: ConfigDict, timelines: "Timelines", tables: "Tables", mesh: Any, *, steps: int) -> Run:
    """A run of ranking.train's step on its loader's batches."""
    import jax

    from data.loader import iterate
    from ranking.checkpoint import build
    from ranking.objective import make_loss
    from ranking.optimizer import optimizer_of
    from training.mesh import shard_batch
    from training.step import create_state, make_train_step

    batches = batches_of(config, timelines, tables, mesh.shape["data"])
    model = build(config, timelines, tables)
    optimizer = optimizer_of(config, total_steps=len(batches))
    key = jax.random.key(config.seed)
    state = create_state(model.init, optimizer, key=key, mesh=mesh)
    step = make_train_step(make_loss(model.merge, config, config.tasks), optimizer, state)
    input_batches = iterate(batches)

    def run() -> float:
        nonlocal state
        begin = time.perf_counter()
        for batch in islice(input_batches, steps):
            state, metrics = step(state, shard_batch(batch, mesh), key)
        jax.block_until_ready((state, metrics))
        return steps * config.batch_size / (time.perf_counter() - begin)

    return run


def torchs(config: ConfigDict, timelines: "Timelines", tables: "Tables", *, steps: int, threads: int) -> Run:
    """A run of the PyTorch model on the same batches, ready in memory."""
    import torch

    from benchmarks.peers import ranker as torch_ranker
    from benchmarks.peers.step import train_step
    from ranking.tables import schema

    torch.set_num_threads(threads)
    torch.manual_seed(config.seed)
    model = torch_ranker.Ranker(schema(timelines, tables), config)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    batches = batches_of(config, timelines, tables, 1)
    ready = [torch_ranker.tensors(batches[index]) for index in range(steps)]

    def run() -> float:
        begin = time.perf_counter()
        for batch in ready:
            train_step(model, optimizer, batch, clip_norm=config.clip_norm)
        return steps * config.batch_size / (time.perf_counter() - begin)

    return run


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    prepare()

    # Imported here so that --help does not wait for them.
    from data.timelines import Timelines
    from ranking import tables as ranking_tables
    from training.compilation import set_cpu_devices
    from training.mesh import make_mesh

    config = _CONFIG.value
    if not (config.encoder and config.context and config.experts) or config.loss != "logloss" or config.task_weights:
        raise UsageError("--config: the PyTorch model is that of `full` alone, with logloss and adapted weights")
    if config.encoder_length < config.length:
        raise UsageError("--config.encoder_length: the PyTorch model attends to all events; give both lengths alike")
    set_cpu_devices(config.cpu_devices)
    timelines = Timelines.open(_DATA.value)
    tables = ranking_tables.build(timelines, config.history_feedback)
    mesh = make_mesh(data=config.mesh.data, model=config.mesh.model)
    our_run = ours(config, timelines, tables, mesh, steps=_STEPS.value)
    torch_run = torchs(config, timelines, tables, steps=_STEPS.value, threads=_THREADS.value)
    print(f"{timelines.num_items:,} items, T = {config.length}, {len(config.tasks)} tasks, {config.batch_size} a step")
    report(our_run, torch_run, repeats=_REPEATS.value, unit="examples/s", threads=_THREADS.value)


if __name__ == "__main__":
    app.run(main, keep_memory=False)
