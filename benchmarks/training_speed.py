"""Labels a second of a training step of retrieval.train, against the same model in PyTorch, in one run.

  pip install -r requirements-benchmarks.txt
  python -m benchmarks.training_speed --config=configs/retrieval.py:kuairand_pure --data=TIMELINES

Ours is what retrieval.train runs, its loader included. PyTorch's (benchmarks/peers/retrieval.py) batches lie ready in
memory and hold as many labels as ours on average. The two take turns; the table shows medians over --repeats.
"""

import time
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING

from absl import flags
from ml_collections import ConfigDict

from benchmarks.turns import Run, prepare, report
from runtime import app, cores
from runtime.config import define_config
from runtime.paths import define_path

if TYPE_CHECKING:
    from data.timelines import Timelines

_CONFIG = define_config("configs/retrieval.py:kuairand_pure", "What to train.")
flags.declare_key_flag("keep_memory")
_DATA = define_path("data", None, "Folder of timelines, written by data.prepare.", required=True)
_STEPS = flags.DEFINE_integer("steps", 30, "Steps of each in a repeat.", lower_bound=1)
_REPEATS = flags.DEFINE_integer("repeats", 9, "Turns of each.", lower_bound=1)
_THREADS = flags.DEFINE_integer("threads", cores.count(), "PyTorch's threads.", lower_bound=1)


def ours(config: ConfigDict, timelines: "Timelines", *, steps: int) -> tuple[Run, float]:
    """A run of retrieval.train's step on its loader's batches, and the mean number of labels in a batch."""
    import jax

    from data.loader import PackedBatches, iterate
    from retrieval.checkpoint import build
    from retrieval.objective import make_loss
    from training.mesh import make_mesh, shard_batch
    from training.optimizer import from_config
    from training.step import create_state, make_train_step

    mesh = make_mesh(data=config.mesh.data, model=config.mesh.model)
    batches = PackedBatches(
        timelines,
        length=config.length,
        batch_size=config.batch_size,
        num_epochs=config.num_epochs,
        positive=tuple(config.positive) or timelines.positive_feedback,
        negative=config.negative,
        seed=config.seed,
        num_shards=mesh.shape["data"],
    )
    model = build(config, timelines)
    loss_fn = make_loss(
        model.merge,
        config,
        num_items=timelines.num_items,
        label_counts=batches.label_counts(),
        mesh=mesh if mesh.size > 1 else None,
    )
    optimizer = from_config(config, total_steps=len(batches))
    key = jax.random.key(config.seed)
    state = create_state(model.init, optimizer, key=key, mesh=mesh)
    step = make_train_step(loss_fn, optimizer, state)
    input_batches = iterate(batches)

    def run() -> float:
        nonlocal state
        begin, labels = time.perf_counter(), 0
        for batch in islice(input_batches, steps):
            labels += int((batch["label"] > 0).sum())
            state, metrics = step(state, shard_batch(batch, mesh), key)
        jax.block_until_ready((state, metrics))
        return labels / (time.perf_counter() - begin)

    return run, batches.labels_per_epoch / batches.batches_per_epoch


def torchs(config: ConfigDict, timelines: "Timelines", *, steps: int, labels_per_batch: float, threads: int) -> Run:
    """A run of the PyTorch model on batches of about `labels_per_batch` labels."""
    import numpy as np
    import torch

    from benchmarks.peers import retrieval as torch_peer
    from benchmarks.peers.step import train_step
    from data.feedback import label_kinds

    torch.set_num_threads(threads)
    torch.manual_seed(config.seed)
    signals = {"positive": config.positive, "negative": config.negative}
    in_training = np.zeros(len(timelines.item) + 1, np.int64)
    np.add.at(in_training, timelines.offsets[:-1], 1)
    np.add.at(in_training, timelines.valid_start, -1)
    labels = int(((np.cumsum(in_training)[:-1] > 0) & (label_kinds(timelines.feedback, **signals) > 0)).sum())
    batch_size = round(labels_per_batch * torch_peer.num_windows(timelines, length=config.length) / labels)
    model = torch_peer.TwoTower(config, timelines)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    source = torch_peer.padded_batches(timelines, length=config.length, batch_size=batch_size, **signals)

    def run() -> float:
        ready = list(islice(source, steps))
        begin = time.perf_counter()
        for batch in ready:
            train_step(model, optimizer, batch, clip_norm=config.clip_norm)
        return sum(int((batch["label"] > 0).sum()) for batch in ready) / (time.perf_counter() - begin)

    return run


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    prepare()

    # Imported here so that --help does not wait for them.
    from data.timelines import Timelines
    from training.compilation import set_cpu_devices

    config = _CONFIG.value
    set_cpu_devices(config.cpu_devices)
    timelines = Timelines.open(_DATA.value)
    our_run, labels_per_batch = ours(config, timelines, steps=_STEPS.value)
    torch_run = torchs(config, timelines, steps=_STEPS.value, labels_per_batch=labels_per_batch, threads=_THREADS.value)
    print(f"{timelines.num_items:,} items, T = {config.length}, {labels_per_batch:,.0f} labels a step")
    report(our_run, torch_run, repeats=_REPEATS.value, unit="labels/s", threads=_THREADS.value)


if __name__ == "__main__":
    app.run(main, keep_memory=False)
