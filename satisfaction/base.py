"""Step "base": trains the base recommender on clicks, or takes an exported recommender's item vectors."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp
from flax import nnx
from ml_collections import ConfigDict
from numpy.typing import NDArray

from data.loader import PackedBatches, iterate
from data.timelines import Timelines
from metrics.ranking import reciprocal_rank, target_ranks
from runtime import artifact
from runtime.errors import DataError, UsageError
from satisfaction.base_model import BaseModel, make_loss
from satisfaction.splits import is_click, training_end
from training.checkpoints import Checkpoints, restore_params
from training.loop import train as run_loop
from training.mesh import make_mesh
from training.metric_log import MetricLog
from training.optimizer import make_optimizer
from training.step import TrainState, create_state, make_train_step

CHECKPOINTS = "checkpoints"
_CLICKS = ("click", "long_view")


def clicks_only(timelines: Timelines, protocol: str) -> Timelines:
    """The same users' clicks (splits.is_click) alone; `valid_start` is where training ends."""
    kept = is_click(timelines)
    before = np.concatenate([[0], np.cumsum(kept)])  # [E + 1]
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


@dataclasses.dataclass(frozen=True)
class BaseRecommender:
    """A trained base recommender: `encode(item [B, T] int32, clicks in order, zeros anywhere) -> queries [B, D]`."""

    item_vectors: NDArray[np.float32]  # [N + 1, D]
    encode: Callable[[Any], jax.Array]


def train(config: ConfigDict, timelines: Timelines, folder: Path) -> dict[str, float]:
    """Trains to the end, or from the last checkpoint. Errors: DataError where the log has no clicks."""
    options, clicks = config.base, clicks_only(timelines, config.protocol)
    batches = PackedBatches(
        clicks,
        length=options.length,
        batch_size=options.batch_size,
        num_epochs=options.num_epochs,
        positive=_CLICKS,
        negative=(),
        seed=config.seed,
    )
    init, merge, features, seen = _build(config, clicks)
    loss_fn = make_loss(merge, features=features, seen=seen, dropout=options.dropout, block_size=options.block_size)
    optimizer = make_optimizer(
        learning_rate=options.learning_rate,
        total_steps=len(batches),
        warmup_steps=min(options.warmup_steps, len(batches)),
        final_fraction=options.final_fraction,
        weight_decay=options.weight_decay,
        clip_norm=options.clip_norm,
    )
    mesh = make_mesh(data=1, devices=jax.devices()[:1])
    state = create_state(init, optimizer, key=jax.random.key(config.seed), mesh=mesh)
    validate = _validation(config, clicks, merge, features, seen)
    with (
        Checkpoints(folder / CHECKPOINTS, fingerprint=_fingerprint(config, timelines)) as checkpoints,
        MetricLog(folder) as metric_log,
    ):
        result = run_loop(
            state,
            make_train_step(loss_fn, optimizer, state),
            iterate(batches),
            num_steps=len(batches),
            mesh=mesh,
            key=jax.random.key(config.seed),
            checkpoints=checkpoints,
            metric_log=metric_log,
            save_every=config.save_every,
            evaluate=validate,
            eval_every=batches.batches_per_epoch,
            best_metric="mrr" if validate else None,
            patience=options.patience if validate else None,
        )
    return result.metrics


def load(config: ConfigDict, timelines: Timelines, folder: Path) -> BaseRecommender:
    """The best checkpoint of `train` in `folder`. Errors as `training.checkpoints.restore_params`."""
    clicks = clicks_only(timelines, config.protocol)
    init, merge, features, seen = _build(config, clicks)
    params, _ = restore_params(folder / CHECKPOINTS, jax.eval_shape(init, jax.random.key(0)))
    vectors = jax.jit(lambda params: merge(params).items(jnp.asarray(features), jnp.asarray(seen, jnp.float32)))(params)

    @jax.jit
    def encode(item):
        item = jnp.asarray(item, jnp.int32)
        model = merge(params)
        return model.queries(model.states(vectors, item, reset=jnp.zeros(item.shape, bool))[:, -1])

    return BaseRecommender(np.asarray(vectors), encode)


def exported_item_vectors(path: str, timelines: Timelines) -> NDArray[np.float32]:
    """`item_vectors.npy` [N + 1, D] of an exported recommender; errors name --config.base.recommender."""
    flag = "--config.base.recommender"
    manifest = artifact.open_manifest(path, kind="recommender", version=1, flag=flag)
    if manifest["vocabulary_hash"] != timelines.manifest["vocabulary_hash"]:
        raise UsageError(f"{flag}={path}: exported for other items than --data={timelines.path} has; give its own")
    return np.load(Path(path) / "item_vectors.npy")


def user_vectors(item_vectors: NDArray[np.float32], timelines: Timelines, protocol: str) -> NDArray[np.float32]:
    """v_u [U, D]: the mean item vector of the user's training clicks; zero without any."""
    clicks = clicks_only(timelines, protocol)
    trained = clicks.in_split("train")
    user, item = clicks.user_of_event()[trained], clicks.item[trained]
    pairs = (np.ones(len(user), np.float32), (user, item))
    counts = sp.csr_matrix(pairs, shape=(timelines.num_users, timelines.num_items + 1))
    totals = np.maximum(np.bincount(user, minlength=timelines.num_users), 1)[:, None]
    return (np.asarray(counts @ item_vectors) / totals).astype(np.float32)


def _build(
    config: ConfigDict, clicks: Timelines
) -> tuple[Callable[[jax.Array], Any], Callable[[Any], BaseModel], NDArray[np.int32], NDArray[np.bool_]]:
    named, rows = clicks.manifest["item_features"], clicks.num_items + 1
    features = np.zeros((rows, len(named)), np.int32)  # [N + 1, F]
    for column, feature in enumerate(named):
        features[:, column] = clicks.items[feature["name"]].fill_null(0).to_numpy()
    trained = clicks.in_split("train")
    if not trained.any():
        raise DataError(f"{clicks.path}: no click before the held-out events; the base recommender has no input")
    seen = np.bincount(clicks.item[trained], minlength=rows) > 0

    def make(key: jax.Array) -> BaseModel:
        return BaseModel(
            rows,
            [feature["cardinality"] for feature in named],
            dim=config.base.dim,
            hidden=config.base.hidden,
            dropout=config.base.dropout,
            rngs=nnx.Rngs(key),
        )

    model = nnx.eval_shape(lambda: make(jax.random.key(0)))
    graph = nnx.graphdef(model)
    constants = jax.jit(lambda: nnx.state(make(jax.random.key(0)), nnx.Not(nnx.Param)))()
    return (
        lambda key: nnx.state(make(key), nnx.Param),
        lambda params: nnx.merge(graph, params, constants),
        features,
        seen,
    )


def _validation(config, clicks, merge, features, seen) -> Callable[[TrainState], dict[str, float]] | None:
    """MRR and HR@10 of each user's first click after training, among all items; None where nobody has one."""
    users = np.flatnonzero(clicks.valid_start < clicks.offsets[1:])
    if not len(users):
        return None
    if len(users) > config.base.eval_users:
        users = np.sort(np.random.default_rng(config.seed).choice(users, config.base.eval_users, replace=False))
    target = clicks.item[clicks.valid_start[users]]
    histories = clicks.histories(users, clicks.valid_start[users], config.base.length)["item"]
    codes, is_seen = jnp.asarray(features), jnp.asarray(seen, jnp.float32)

    @jax.jit
    def score(params, item):
        model = merge(params)
        vectors = model.items(codes, is_seen)
        states = model.states(vectors, item, reset=jnp.zeros(item.shape, bool))
        return model.queries(states[:, -1]) @ vectors[1:].T  # [B, N]

    def evaluate(state: TrainState) -> dict[str, float]:
        found = []
        for start in range(0, len(users), 512):
            rows = np.arange(start, start + 512) % len(users)  # one shape: one compilation
            scores = np.asarray(score(state.params, histories[rows]))[: len(users) - start]
            found.append(target_ranks(scores, target[start : start + 512, None] - 1))
        ranks = np.concatenate(found)
        return {"mrr": float(reciprocal_rank(ranks).mean()), "hr@10": float((ranks <= 10).mean())}

    return evaluate


def _fingerprint(config: ConfigDict, timelines: Timelines) -> dict[str, Any]:
    return {
        "base": config.base.to_dict(),
        "seed": config.seed,
        "protocol": config.protocol,
        "timelines": timelines.manifest["vocabulary_hash"],
        "events": timelines.manifest["num_events"],
    }
