"""Labels a second of a training step of retrieval.train, against the same model in PyTorch, in one run.

  pip install -r requirements-benchmarks.txt
  python -m benchmarks.training_speed --config=configs/retrieval.py:kuairand_pure --data=TIMELINES

Ours is what retrieval.train runs, its loader included. PyTorch's (benchmarks/peers/retrieval.py) batches lie ready in
memory and hold as many labels as ours on average. The two take turns; the table shows medians over --repeats.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from absl import flags
from ml_collections import ConfigDict

from benchmarks.shared import turns
from benchmarks.shared.our_training import labels, training
from runtime import app
from runtime.config import define_config
from runtime.paths import define_path

if TYPE_CHECKING:
    from data.timelines import Timelines

_CONFIG = define_config("configs/retrieval.py:kuairand_pure", "What to train.")
_DATA = define_path("data", None, "Folder of timelines, written by data.prepare.", required=True)
for _name in ("steps", "repeats", "threads", "torch_compile"):
    flags.declare_key_flag(_name)


def ours(config: ConfigDict, timelines: "Timelines") -> tuple[turns.Run, float]:
    """A run of retrieval.train's step on its loader's batches, and the mean number of labels in a batch."""
    ours = training(config, timelines)
    run = turns.ours(ours, seed=config.seed, count=labels)
    return run, ours.batches.labels_per_epoch / ours.batches.batches_per_epoch


def torchs(config: ConfigDict, timelines: "Timelines", *, labels_per_batch: float) -> turns.Run:
    """A run of the PyTorch model on batches of about `labels_per_batch` labels."""
    import torch

    from benchmarks.peers import retrieval as torch_peer
    from data.feedback import label_kinds

    torch.manual_seed(config.seed)
    signals = {"positive": config.positive, "negative": config.negative}
    of_training = int((timelines.in_split("train") & (label_kinds(timelines.feedback, **signals) > 0)).sum())
    batch_size = round(labels_per_batch * torch_peer.num_windows(timelines, length=config.length) / of_training)
    batches = torch_peer.padded_batches(timelines, length=config.length, batch_size=batch_size, **signals)
    return turns.torchs(config, torch_peer.TwoTower(config, timelines), batches, count=labels)


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    has_torch = turns.prepare()

    # Imported here so that --help does not wait for them.
    from data.timelines import Timelines
    from retrieval.run import filled_in
    from training.compilation import set_cpu_devices

    set_cpu_devices(_CONFIG.value.cpu_devices)
    timelines = Timelines.open(_DATA.value)
    config = filled_in(_CONFIG.value, timelines)
    our_run, labels_per_batch = ours(config, timelines)
    torch_run = torchs(config, timelines, labels_per_batch=labels_per_batch) if has_torch else None
    print(f"{timelines.num_items:,} items, T = {config.length}, {labels_per_batch:,.0f} labels a step")
    turns.report(our_run, torch_run, unit="labels/s")


if __name__ == "__main__":
    app.run(main)
