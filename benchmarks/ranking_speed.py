"""Examples a second of a training step of ranking.train, against the same model in PyTorch, in one run.

  pip install -r requirements-benchmarks.txt
  python -m benchmarks.ranking_speed --config=configs/ranking.py:kuairand_pure --data=TIMELINES

Ours is what ranking.train runs, its loader included. PyTorch's (benchmarks/peers/ranker.py) batches are the same ones
and lie ready in memory. The two take turns; the table shows medians over --repeats.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from absl import flags
from ml_collections import ConfigDict

from benchmarks.shared import turns
from benchmarks.shared.our_training import Training
from runtime import app
from runtime.config import define_config
from runtime.errors import UsageError
from runtime.paths import define_path

if TYPE_CHECKING:
    from data.impressions import ImpressionBatches
    from data.timelines import Timelines
    from ranking.log_statistics import LogStatistics

_CONFIG = define_config("configs/ranking.py:kuairand_pure", "What to train.")
_DATA = define_path("data", None, "Folder of timelines, written by data.prepare.", required=True)
for _name in ("steps", "repeats", "threads", "torch_compile"):
    flags.declare_key_flag(_name)

_MANY_EPOCHS = 10  # more steps than are taken


def batches_of(
    config: ConfigDict, timelines: "Timelines", statistics: "LogStatistics", shards: int
) -> "ImpressionBatches":
    """The batches that ranking.train learns from."""
    from data.impressions import ranked_positions
    from ranking import tasks
    from ranking.inputs import Impressions
    from ranking.run import training_batches

    config = ConfigDict({**config.to_dict(), "num_epochs": _MANY_EPOCHS})
    labels = tasks.labels(config.tasks, timelines, statistics.thresholds, None)
    impressions = Impressions(timelines, statistics, length=config.length)
    positions = ranked_positions(timelines, *config.train_on)
    return training_batches(config, positions, timelines, impressions, labels, num_shards=shards)


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    has_torch = turns.prepare()

    # Imported here so that --help does not wait for them.
    from data.timelines import Timelines
    from ranking import log_statistics, tasks
    from ranking.checkpoint import build
    from ranking.objective import make_loss
    from ranking.optimizer import optimizer_of
    from ranking.run import RULES
    from training.compilation import narrow_row_options, set_cpu_devices
    from training.mesh import mesh_of

    config = _CONFIG.value
    if (
        not (config.encoder and config.context and config.experts > 1)
        or config.loss != "logloss"
        or config.task_weights
    ):
        raise UsageError("--config: the PyTorch model is that of `full` alone, with logloss and adapted weights")
    if config.encoder_length < config.length:
        raise UsageError("--config.encoder_length: the PyTorch model attends to all events; give both lengths alike")
    set_cpu_devices(config.cpu_devices)
    timelines = Timelines.open(_DATA.value)
    config.tasks = tuple(config.tasks) or tasks.default(timelines)
    statistics = log_statistics.build(timelines, config.history_feedback)

    def count(batch: Any) -> int:
        return len(batch["user"])

    mesh = mesh_of(config)
    batches = batches_of(config, timelines, statistics, mesh.shape["data"])
    model = build(config, timelines, statistics, model_shards=mesh.shape["model"])
    training = Training(
        model.init,
        make_loss(model.merge, config, config.tasks),
        optimizer_of(config, total_steps=len(batches)),
        batches,
        mesh,
        RULES if mesh.shape["model"] > 1 else (),
    )
    our_run = turns.ours(training, seed=config.seed, count=count, compiler_options=narrow_row_options())
    torch_run = None
    if has_torch:
        import torch

        from benchmarks.peers import ranker as torch_peer

        torch.manual_seed(config.seed)
        peer = torch_peer.Ranker(log_statistics.schema(timelines, statistics), config)
        theirs = batches_of(config, timelines, statistics, 1)
        same = (torch_peer.tensors(theirs[index]) for index in range(len(theirs)))
        torch_run = turns.torchs(config, peer, same, count=count)
    print(f"{timelines.num_items:,} items, T = {config.length}, {len(config.tasks)} tasks, {config.batch_size} a step")
    turns.report(our_run, torch_run, unit="examples/s")


if __name__ == "__main__":
    app.run(main)
