"""Training on the rows that a batch touches: loss and gradients, validation in blocks, whole runs, mistakes."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.retrieval import get_config
from data.loader import PackedBatches
from data.timelines import Timelines
from retrieval import checkpoint
from retrieval import run as training
from retrieval.large_corpus import table_memory
from retrieval.large_corpus.item_rows import ROW, ItemRows
from retrieval.large_corpus.touched_rows import TouchedRows
from retrieval.large_corpus.validation_in_blocks import make_validation_in_blocks
from retrieval.margins.of_labels import drawn
from retrieval.objective import make_loss, make_loss_of_touched_rows
from retrieval.trends import learned
from retrieval.updates import touched_rows
from retrieval.validation import make_validation
from runtime.errors import UsageError
from tests.helpers.killed_training import results
from tests.logs import random_timelines
from tests.retrieval.objective_test import parameters_of
from training.mesh import make_mesh, shard_batch
from training.names import named_leaves
from training.row_tables import RowTables
from training.saving.checkpoints import CHECKPOINTS, restore_params
from training.step import create_state, make_train_step

ONE = make_mesh(devices=jax.devices()[:1])
MESHES = ((1, 2), (2, 1), (2, 2))


def config_of(**options):
    config = get_config("tiny,dislike_input_and_label")
    config.update({"dim": 6, "hidden": 7, "length": 16, "batch_size": 2, "num_epochs": 3, "dropout": 0.0})
    config.update({"save_every": 2, "warmup_steps": 2, "patience": 10, "learning_rate": 0.03, "counted": ()})
    config.update({"positive": ("long_view", "like"), "softmax": "mixed", "num_candidates": 8, "touched_rows": True})
    config.update(options)
    return config


def packed(log, config, **options):
    sizes = {name: config[name] for name in ("length", "batch_size", "num_epochs", "positive", "negative", "seed")}
    of_labels = {"there": log.num_there_at, **options.pop("of_labels", {})}
    return PackedBatches(log, **sizes, of_labels=of_labels, **options)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log") / "timelines"
    return random_timelines.uploaded(random_timelines.write(folder, lengths=np.full(16, 12), num_items=40))


def parameters(log, config):
    return parameters_of(checkpoint.build(config, log))


def test_items_are_numbered_anew_each_once():
    # Item i has code i % 3 + 4 of the one feature and 9 - i of the other, in two columns; no item has 0.
    codes = (
        np.stack([np.arange(10) % 3 + 4, 9 - np.arange(10), np.zeros(10, int)], axis=1) * (np.arange(10) > 0)[:, None]
    )
    features = {"codes": codes, "seen": np.arange(10.0)[:, None] / 10}
    items = ItemRows(features, (0, 1, 1), (7, 10), table_rows=12)
    numbered = items.numbered([5, 0, 7, 5, 5, 2, 7, 9, 3, 9], 9)
    assert numbered.arrays[ROW].tolist() == [0, 2, 3, 5, 7, 9, 12 + 6, 12 + 7, 12 + 8]  # 18 is no row of twelve
    np.testing.assert_array_equal(numbered.place([[5, 0, 7], [2, 3, 9]]), [[3, 0, 4], [1, 2, 5]])
    # Codes of items 0, 2, 3, 5, 7, 9, and none, and what they are called in tables of their own.
    assert numbered.arrays["value_row/0"].tolist() == [0, 4, 5, 6, 11, 12, 13]
    assert numbered.arrays["items/codes"][:, 0].tolist() == [0, 3, 1, 3, 2, 1, 0, 0, 0]  # 6, 4, 6, 5, 4
    assert numbered.arrays["value_row/1"].tolist() == [0, 2, 4, 6, 7, *range(15, 20)]
    assert numbered.arrays["items/codes"][:, 1].tolist() == [0, 4, 3, 2, 1, 0, 0, 0, 0]  # 7, 6, 4, 2, 0
    assert numbered.arrays["items/seen"][:, 0].tolist() == [0, 0.2, 0.3, 0.5, 0.7, 0.9, 0, 0, 0]
    with pytest.raises(ValueError, match="4 do not fit 3"):
        items.numbered([5, 7, 2], 3)


@pytest.mark.parametrize("softmax", ["uniform", "log_uniform", "in_batch", "mixed"])
def test_a_batch_holds_what_it_touches_and_draws_by_its_number(log, softmax):
    config = config_of(softmax=softmax)
    _, items = checkpoint.build_by_rows(config, log)
    batches = packed(log, config)
    touched, again = (TouchedRows(batches, config, items, upload_place=log.upload_place) for _ in range(2))
    assert len(touched) == len(batches)
    for number in (0, 1):
        plain, batch = batches[number], touched[number]
        row = batch[ROW]
        np.testing.assert_array_equal(row[batch["item"]], plain["item"])
        real = plain["label_kind"] > 0
        np.testing.assert_array_equal(row[batch["label"]][real], plain["label"][real])
        counted = np.isfinite(batch["log_expected"])
        assert np.all((row[batch["candidate"]][counted] >= 1) & (row[batch["candidate"]][counted] <= log.num_items))
        assert len(np.unique(row)) == len(row)
        for name, array in again[number].items():
            np.testing.assert_array_equal(array, batch[name], err_msg=name)
    assert not np.array_equal(touched[0]["candidate"], touched[1]["candidate"])


@pytest.mark.parametrize("id_rows", [0, 30])
def test_hosts_number_alike_and_hold_parts_of_one_batch(log, id_rows):
    config = config_of(batch_size=4, num_candidates=9, id_rows=id_rows)
    _, items = checkpoint.build_by_rows(config, log)
    batches = packed(log, config, num_shards=4)
    whole, *parts = (
        TouchedRows(batches, config, items, upload_place=log.upload_place, num_shards=4, shard=shard)[1]
        for shard in (slice(None), slice(0, 1), slice(1, 4))
    )
    for name, array in whole.items():
        assert len(array) % 4 == 0
        np.testing.assert_array_equal(np.concatenate([part[name] for part in parts]), array, err_msg=name)


def both_losses(log, config, params):
    """The loss of the first batch with its gradients: on whole tables, and on its rows, put back into zeros."""
    batches = packed(log, config)
    dense, (model, items) = checkpoint.build(config, log), checkpoint.build_by_rows(config, log)
    batch = TouchedRows(batches, config, items, upload_place=log.upload_place)[0]
    _, unhashed = checkpoint.build_by_rows(config_of(), log)
    named = TouchedRows(batches, config, unhashed, upload_place=log.upload_place)[0]  # its rows are items
    drawn_items = named[ROW][named["candidate"]]
    plain = {**batches[0], "candidate": drawn_items, "candidate_place": log.upload_place[drawn_items]}
    plain["log_expected"] = batch["log_expected"]
    loss_of = {"num_items": log.num_items, "label_counts": batches.label_counts(), "margins_of": drawn(config)}
    key, rows = jax.random.key(0), RowTables(items.tables(), ONE)

    def of_rows(params, batch):
        loss_fn = make_loss_of_touched_rows(model, config)
        found, gradient = jax.value_and_grad(loss_fn, has_aux=True)(rows.take(params, batch), batch, key)
        return found, rows.put(jax.tree.map(jnp.zeros_like, params), gradient, batch)

    of_all = jax.value_and_grad(make_loss(dense.merge, config, **loss_of), has_aux=True)
    return jax.jit(of_all)(params, plain, key), jax.jit(of_rows)(params, batch)


@pytest.mark.parametrize("options", [{}, {"objective": "softmax_negatives", "negative_weight": 3.0, "id_rows": 30}])
def test_loss_and_gradients_are_those_of_the_whole_tables(log, options):
    config = config_of(**options)
    dense, of_rows = both_losses(log, config, parameters(log, config))
    ((all_loss, all_metrics), all_gradient), ((loss, metrics), gradient) = dense, of_rows
    assert float(loss) == pytest.approx(float(all_loss), rel=1e-6)
    assert metrics["labels"] == all_metrics["labels"] > 0
    expected = named_leaves(all_gradient)
    for name, leaf in named_leaves(gradient).items():
        np.testing.assert_allclose(leaf, expected[name], rtol=1e-4, atol=1e-6, err_msg=name)
    assert np.any(expected["items/id_embedding"])
    assert len(expected["items/id_embedding"]) == (config.id_rows or log.num_items + 1)


@pytest.mark.parametrize("block_size", [0, 7])
@pytest.mark.parametrize("late", [[], [*range(2, 151, 4)]])
def test_validation_in_blocks_is_validation(tmp_path, block_size, late):
    log = random_timelines.write(tmp_path / "log", lengths=np.full(30, 30), num_items=150, unseen=20)
    log = random_timelines.uploaded_late(log, late, "valid")
    config = config_of(length=8)
    dense, (model, items) = checkpoint.build(config, log), checkpoint.build_by_rows(config, log)
    validate = make_validation(config, log, dense.merge, ONE)
    in_blocks = make_validation_in_blocks(
        config, log, model, items, RowTables(items.tables(), ONE), ONE, block_size=block_size
    )
    trained = jax.jit(dense.init)(jax.random.key(1))
    # Of zeros all items tie; of NaN nothing is found.
    zeros, diverged = (jax.tree.map(lambda leaf, x=x: jnp.full_like(leaf, x), trained) for x in (0.0, jnp.nan))
    for params in (trained, zeros, diverged):
        expected = {name: float(value) for name, value in validate(params).items()}
        found = {name: float(value) for name, value in in_blocks(params).items()}
        assert found == {"recall@100": pytest.approx(expected["recall@100"], abs=1e-6)}
    assert expected == {"recall@100": 0.0}


def saved(folder, log):
    params, step = restore_params(folder / CHECKPOINTS, checkpoint.build(config_of(), log).shapes, best=False)
    return {name: np.asarray(leaf).tobytes() for name, leaf in named_leaves(params).items()}, step


def test_a_run_that_was_stopped_goes_on_bit_by_bit_and_is_loaded(log, tmp_path, monkeypatch):
    def run(name):
        return training.train(config_of(dropout=0.5), data=str(log.path), workdir=str(tmp_path / name))

    run("whole")
    get = TouchedRows.__getitem__

    def stopped(self, index):
        if index == 5:
            raise KeyboardInterrupt
        return get(self, index)

    with monkeypatch.context() as patched:
        patched.setattr(TouchedRows, "__getitem__", stopped)
        with pytest.raises(KeyboardInterrupt):
            run("stopped")
    assert not (tmp_path / "stopped" / "metrics.json").exists()
    run("stopped")
    assert results(tmp_path / "stopped") == results(tmp_path / "whole")
    assert results(tmp_path / "whole")["steps"] > 5
    assert saved(tmp_path / "stopped", log) == saved(tmp_path / "whole", log)
    retriever = checkpoint.load(tmp_path / "whole", log)
    vectors = retriever.item_vectors()
    assert vectors.shape == (log.num_items + 1, 6 + len(config_of().trend_days))
    assert np.all(np.isfinite(vectors))


def trained(data, mesh):
    """Losses of three steps and the tables after them, without the rows that fill up."""
    timelines, config = Timelines.open(data), config_of(batch_size=8, length=8)
    shards = mesh.shape["data"]
    trends, moment = learned(timelines, config)
    batches = packed(timelines, config, num_shards=shards, of_labels={"moment": moment})
    parts = touched_rows(config, timelines, batches, mesh, trends)
    narrow = jax.device_get(jax.jit(checkpoint.build(config, timelines).init)(jax.random.key(0)))
    shapes = checkpoint.build(config, timelines, model_shards=mesh.shape["model"]).shapes

    def init(key):
        def widened(leaf, shape):
            return (
                jnp.pad(leaf, [(0, n - m) for m, n in zip(leaf.shape, shape.shape, strict=True)]) if leaf.ndim else leaf
            )

        return jax.tree.map(widened, narrow, shapes)

    rules = training.RULES if mesh.shape["model"] > 1 else ()
    state = create_state(init, parts.optimizer, key=jax.random.key(0), mesh=mesh, rules=rules)
    step, losses = make_train_step(parts.loss_fn, parts.optimizer, state, rows=parts.rows), []
    for number in range(3):
        state, metrics = step(state, shard_batch(parts.batches[number], mesh), jax.random.key(0))
        losses.append(float(metrics["loss"]))
    assert step._cache_size() == 1  # type: ignore[attr-defined]
    leaves = named_leaves(state.params)
    table = np.asarray(leaves["items/id_embedding"])[:41]
    return {"losses": losses, "table": table, "projection": np.asarray(leaves["encoder/projection/kernel"])}


def on_four_devices(data, file):
    """What the subprocess of the next test runs."""
    arrays = {}
    for shape in MESHES:
        mesh = make_mesh(data=shape[0], model=shape[1], devices=jax.devices()[: shape[0] * shape[1]])
        arrays |= {f"{shape}:{name}": array for name, array in trained(data, mesh).items()}
    np.savez(file, **arrays)


@pytest.mark.long
def test_meshes_agree_with_one_device(log, tmp_path):
    file = tmp_path / "arrays.npz"
    code = f"from tests.retrieval.large_corpus_test import on_four_devices as f; f({str(log.path)!r}, {str(file)!r})"
    # Optimised half as much, it compiles twice as fast.
    flags = "--xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    environment["JAX_COMPILATION_CACHE_DIR"] = str(tmp_path / "compiled")
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found, expected = np.load(file), trained(log.path, ONE)
    for shape in MESHES:
        for name, array in expected.items():
            np.testing.assert_allclose(found[f"{shape}:{name}"], array, rtol=1e-4, atol=1e-5, err_msg=f"{shape} {name}")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"id_rows": -1}, r"--config\.id_rows=-1: must be a whole number, 0 or more"),
        ({"id_hashes": 0}, r"--config\.id_hashes=0: must be at least 1"),
        (
            {"softmax": "exact"},
            r"--config\.touched_rows=True: --config\.softmax=exact touches every row; one of uniform,",
        ),
        ({"objective": "reinforce"}, r"--config\.touched_rows=True: not with --config\.objective=reinforce"),
        ({"table_learning_rate": 0.0}, r"--config\.table_learning_rate=0\.0: must be finite and above 0"),
        ({"num_candidates": 41}, r"--config\.num_candidates=41: more than the 40 items of .*--config\.softmax=exact"),
        ({"num_candidates": 41, "touched_rows": False}, r"--config\.num_candidates=41: more than the 40 items of "),
    ],
)
def test_a_mistake_in_the_config(log, tmp_path, options, message):
    with pytest.raises(UsageError, match=message) as raised:
        training.train(config_of(**options), data=str(log.path), workdir=str(tmp_path / "workdir"))
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "workdir" / CHECKPOINTS).exists()


def test_tables_that_do_not_fit_are_refused_before_they_are_made():
    config, rows = config_of(dim=64), 10_000_001
    # The table, its gradient and two moments, item vectors and their gradient; or the table and sums.
    all_rows, touched = (4 + 2) * rows * 64 * 4, rows * (64 + 1) * 4
    assert table_memory.table_bytes(config, rows - 1) == touched
    config.touched_rows = False
    assert table_memory.table_bytes(config, rows - 1) == all_rows
    assert table_memory.table_bytes(config, rows - 1, model_shards=2) == -(-rows // 2) * (4 + 2) * 64 * 4
    table_memory.check_fits(config, rows - 1, ONE, available=all_rows)
    hashed = config_of(dim=64, touched_rows=False, id_rows=1000)
    assert table_memory.table_bytes(hashed, rows - 1) == (1000 * 4 + rows * 2) * 64 * 4
    with pytest.raises(
        UsageError,
        match=r"--config\.dim=64: what is learned of 10,000,000 items takes 15\.4 GB on a device that has 10\.0 GB; "
        r".*--config\.mesh\.model=1, or --config\.touched_rows=True with a sampled --config\.softmax, 2\.6 GB",
    ):
        table_memory.check_fits(config, rows - 1, ONE, available=10 * 10**9)
    assert table_memory.device_bytes() > 10**8
