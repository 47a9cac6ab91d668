"""Step "base": trains the base recommender on clicks, or takes an exported recommender's item vectors."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh
from ml_collections import ConfigDict
from numpy.typing import NDArray

from data import ranges
from data.events_read import Reader, Reading
from data.loader import PackedBatches
from data.timelines import Timelines
from encoders.item_tower import ItemTower
from encoders.labels import asked
from runtime import artifact
from runtime.errors import DataError, UsageError
from runtime.formats import RECOMMENDER
from satisfaction.saqrec.batch_loss import exact_click_loss
from satisfaction.saqrec.embeddings import BaseEmbeddings, mean_vectors
from satisfaction.saqrec.gru_recommender import GRURecommender
from satisfaction.saqrec.validation import ranks_of
from satisfaction.splits import is_click, training_end
from training.architecture import Architecture, architecture
from training.loop import Validation
from training.mesh import local_parts, make_mesh
from training.optimizer import make_optimizer
from training.run import fit
from training.saving.checkpoints import CHECKPOINTS, restore_params
from training.step import LossFn

_CLICKS = ("click", "long_view")


def clicks_only(timelines: Timelines, protocol: str) -> Timelines:
    """The same users' clicks (splits.is_click) alone; `valid_start` is where training ends."""
    kept = is_click(timelines)
    before = ranges.sums_before(kept)  # [E + 1]
    events: dict[str, Any] = {
        field.name: np.asarray(getattr(timelines, field.name))[kept]
        for field in dataclasses.fields(timelines)
        if getattr(getattr(timelines, field.name), "shape", None) == kept.shape
    }
    return dataclasses.replace(
        timelines,
        **events,
        offsets=before[timelines.offsets],
        valid_start=before[training_end(timelines, protocol)],
        test_start=before[timelines.test_start],
    )


def train(config: ConfigDict, timelines: Timelines, folder: Path) -> tuple[BaseEmbeddings, dict[str, float]]:
    """Trains to the end, or from the last checkpoint: the best checkpoint's embeddings, and the metrics.

    Errors: DataError where the log has no clicks.
    """
    options, clicks, mesh = config.base, clicks_only(timelines, config.protocol), make_mesh()
    batches = PackedBatches(
        clicks,
        length=options.length,
        batch_size=options.batch_size,
        num_epochs=options.num_epochs,
        positive=_CLICKS,
        negative=(),
        seed=config.seed,
        num_shards=mesh.size,
        shard=local_parts(mesh),
    )
    model = _build(config, clicks)
    loss_fn = make_loss(
        model.merge,
        options,
        num_items=clicks.num_items,
        mesh=mesh if mesh.size > 1 else None,
    )
    result = fit(
        model.init,
        loss_fn,
        make_optimizer(options, total_steps=len(batches)),
        batches,
        num_steps=len(batches),
        folder=folder,
        fingerprint=_fingerprint(config, timelines),
        seed=config.seed,
        save_every=config.save_every,
        mesh=mesh,
        validation=_validation(config, clicks, model.merge, every=batches.batches_per_epoch),
    )
    params, _ = restore_params(folder / CHECKPOINTS, model.shapes)
    vectors = np.asarray(jax.jit(lambda params: model.merge(params).items())(params))
    return BaseEmbeddings(_user_vectors(vectors, clicks), vectors), result.metrics


def check_exported(config: ConfigDict, timelines: Timelines) -> int:
    """The dimensions of an exported recommender's vectors.

    Errors: UsageError, which names --config.base.recommender, for one of other items, and for one that has learned or
    counted what the protocol holds out: it knows the training days, and nothing of later ones.
    """
    path, protocol = config.base.recommender, config.protocol
    flag = f"--config.base.recommender={path}"
    if protocol == "leave_one_out":
        raise UsageError(
            f"{flag}: it knows clicks that --config.protocol=leave_one_out holds out, as it was trained by time; leave "
            "it empty, or take --config.protocol=time"
        )
    manifest = artifact.open_manifest(path, **RECOMMENDER._asdict(), flag="--config.base.recommender")
    if manifest["vocabulary_hash"] != timelines.manifest["vocabulary_hash"]:
        raise UsageError(f"{flag}: exported for other items than --data={timelines.path} has; give its own")
    lineage = manifest.get("lineage") or {}
    trained = lineage.get("config") or {}
    if "valid" in trained.get("train_on", ("valid",)):
        raise UsageError(f"{flag}: does not say that it has learned from training days alone; export one that has")
    counts = trained.get("counted", ()) or trained.get("trend_days", ())
    if counts and (until := lineage.get("counted_until")) != "valid":
        raise UsageError(
            f"{flag}: what is counted in it is of the days until '{until}', and the days from 'valid' on judge what is "
            "learned here; export it with --counted_until=valid"
        )
    return int(manifest["dim"])


def exported(config: ConfigDict, timelines: Timelines) -> BaseEmbeddings:
    """Those of an exported recommender's item vectors. Errors: as of `check_exported`."""
    check_exported(config, timelines)
    vectors = np.load(Path(config.base.recommender) / "item_vectors.npy")
    return BaseEmbeddings(_user_vectors(vectors, clicks_only(timelines, config.protocol)), vectors)


def _user_vectors(item_vectors: NDArray[np.float32], clicks: Timelines) -> NDArray[np.float32]:
    # v_u: of the user's training clicks.
    trained = clicks.in_split("train")
    return mean_vectors(item_vectors, clicks.user_of_event()[trained], clicks.item[trained], num_users=clicks.num_users)


def make_loss(
    merge: Callable[[Any], GRURecommender], options: ConfigDict, *, num_items: int, mesh: Mesh | None = None
) -> LossFn:
    """Mean over the labels of a packed batch (data/loader.py) of −log p(next click), p a softmax over all items.

    options: config.base. mesh: where the batch's rows are sharded; None on one device.
    """
    click_loss = exact_click_loss(options, num_items, mesh)

    def loss_fn(params, batch, key):
        labels = asked(merge(params), batch, dropout_rngs=nnx.Rngs(dropout=key) if options.dropout else None)
        loss = click_loss(labels.queries, labels.vectors, labels.item, labels.where.astype(jnp.float32), key)
        return loss, {"labels": labels.where.sum()}

    return loss_fn


def _build(config: ConfigDict, clicks: Timelines) -> Architecture[GRURecommender]:
    # Items and codes that no training click is on have no vector of their own (ItemTower).
    trained = clicks.in_split("train")
    if not trained.any():
        raise DataError(f"{clicks.path}: no click before the held-out events; the base recommender has no input")
    seen = np.bincount(clicks.item[trained], minlength=clicks.num_items + 1) > 0
    content = clicks.item_content()

    def make(rngs: nnx.Rngs) -> GRURecommender:
        items = ItemTower(content, seen, dim=config.base.dim, rngs=rngs)
        hidden, dropout = config.base.hidden, config.base.dropout
        return GRURecommender(items, num_items=clicks.num_items, hidden=hidden, dropout=dropout, rngs=rngs)

    return architecture(make)


def _validation(
    config: ConfigDict, clicks: Timelines, merge: Callable[[Any], GRURecommender], *, every: int
) -> Validation | None:
    """Of each user's first click after training, among all items; None where nobody has one."""
    users = np.flatnonzero(clicks.valid_start < clicks.offsets[1:])
    if not len(users):
        return None
    if len(users) > config.base.eval_users:
        users = np.sort(np.random.default_rng(config.seed).choice(users, config.base.eval_users, replace=False))
    start = clicks.valid_start[users]
    history = clicks.histories(users, start, Reader(clicks.feedback, Reading(config.base.length)))["item"]

    def scores(model: GRURecommender, items: jax.Array, batch: Mapping[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
        of_items = model.queries(model.states(batch, items)[:, -1]) @ items[1:].T  # [b, N]
        return jnp.take_along_axis(of_items, batch["target"][:, None] - 1, axis=1)[:, 0], of_items

    measure = ranks_of(merge, scores, {"item": history, "target": clicks.item[start]})
    return Validation(measure, every=every, best="mrr", patience=config.base.patience)


def _fingerprint(config: ConfigDict, timelines: Timelines) -> dict[str, Any]:
    return {
        "base": config.base.to_dict(),
        "seed": config.seed,
        "protocol": config.protocol,
        "timelines": timelines.manifest["vocabulary_hash"],
        "log": timelines.fingerprint,
    }
