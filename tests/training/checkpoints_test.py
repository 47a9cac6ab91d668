"""What happens to a checkpoint between saving and restoring: nothing, or it is not used."""

import errno
import os
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
from flax import nnx

from runtime.errors import DataError, UsageError
from training.digest import digests
from training.saving.checkpoints import Checkpoints, restore_params
from training.step import TrainState


def state_of(step, *, rows=4):
    values = jnp.arange(rows * 3, dtype=jnp.float32).reshape(rows, 3) + step
    return TrainState(jnp.int32(step), {"table": values, "bias": values[0]}, {"mu": {"table": -values}})


def open_run(folder):
    return Checkpoints(folder, fingerprint={"vocabulary": "abc", "batch_size": 8})


def saved(folder, steps, scores=None, *, rows=4):
    with open_run(folder) as checkpoints:
        for step in steps:
            checkpoints.save(step, state_of(step, rows=rows), {"next_index": step}, score=(scores or {}).get(step))


def steps_in(folder):
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())


def restored_step(folder, *, rows=4):
    """The step that a new process would go on from, after checking that all of it is as saved."""
    with open_run(folder) as checkpoints:
        state, data_state, step = checkpoints.restore_latest(state_of(0, rows=rows))
    for found, expected in zip(jax.tree.leaves(state), jax.tree.leaves(state_of(step, rows=rows)), strict=True):
        np.testing.assert_array_equal(found, expected)
    assert data_state == {"next_index": step}
    return step


def payload(step_folder, item="params"):
    """The largest file of the parameters: where their values are."""
    return max((path for path in (step_folder / item).rglob("*") if path.is_file()), key=os.path.getsize)


def test_nothing_saved(tmp_path):
    with open_run(tmp_path) as checkpoints:
        assert checkpoints.restore_latest(state_of(0)) is None
        assert checkpoints.latest_step() is None


@pytest.mark.parametrize("name", ["a[1] b*", "what?", "**", "c,d=e %20#~"])
def test_a_folder_may_be_called_anything(tmp_path, name):
    saved(tmp_path / name, [1, 2], {1: 0.9, 2: 0.1})
    assert restored_step(tmp_path / name) == 2
    params, step = restore_params(tmp_path / name, state_of(0).params)
    assert step == 1
    np.testing.assert_array_equal(params["table"], state_of(1).params["table"])


def test_a_backslash_is_refused(tmp_path):
    folder = tmp_path / "back\\slash"
    with pytest.raises(UsageError, match="backslash"):
        open_run(folder)
    with pytest.raises(UsageError, match="backslash"):
        restore_params(folder, state_of(0).params)
    assert not (tmp_path / "back").exists()


def test_latest_and_best_are_kept(tmp_path):
    saved(tmp_path, range(1, 7), scores={1: 0.1, 2: 0.9, 3: 0.3, 6: 0.2})
    assert steps_in(tmp_path) == [2, 5, 6]
    with open_run(tmp_path) as checkpoints:
        assert checkpoints.restore_latest(state_of(0))[2] == 6
    assert restore_params(tmp_path, state_of(0).params)[1] == 2
    saved(tmp_path, [7, 8])  # another process knows the scores of the steps before it
    assert steps_in(tmp_path) == [2, 7, 8]


def test_nan_score_never_displaces_the_best(tmp_path):
    saved(tmp_path, range(1, 6), scores={1: 0.5, 2: float("nan"), 3: float("nan"), 4: 0.4})
    assert steps_in(tmp_path) == [1, 4, 5]
    assert restore_params(tmp_path, state_of(0).params)[1] == 1


def test_step_that_is_there_is_left_alone(tmp_path):
    with open_run(tmp_path) as checkpoints:
        checkpoints.save(1, state_of(1), {"next_index": 1})
        checkpoints.save(1, state_of(5), {"next_index": 5})
    assert restored_step(tmp_path) == 1


def test_donating_the_state_after_a_save_does_not_change_what_is_saved(tmp_path):
    double = jax.jit(lambda x: x * 2, donate_argnums=0)
    values = jnp.arange(1 << 20, dtype=jnp.float32)
    with open_run(tmp_path) as checkpoints:
        checkpoints.save(1, TrainState(jnp.int32(1), {"x": values.copy()}, {}), None)
        state = TrainState(jnp.int32(2), {"x": values.copy()}, {})
        checkpoints.save(2, state, None)
        double(state.params["x"]).block_until_ready()
        restored = checkpoints.restore_latest(TrainState(jnp.int32(0), {"x": values}, {}))
    assert restored[2] == 2
    np.testing.assert_array_equal(restored[0].params["x"], values)


@pytest.mark.parametrize("item", ["params", "optimizer", "record"])
def test_flipped_bit_falls_back_to_the_step_before(tmp_path, capsys, item):
    saved(tmp_path, [1, 2])
    for path in sorted((tmp_path / "2" / item).rglob("*")):
        if path.is_file() and path.stat().st_size and path.name != "_sharding":
            content = bytearray(path.read_bytes())
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
    assert restored_step(tmp_path) == 1
    assert "checkpoint of step 2 is not used" in capsys.readouterr().err


def test_flipped_bits_of_the_values_are_caught_or_harmless(tmp_path):
    saved(tmp_path, [1])
    file = payload(tmp_path / "1")
    content = file.read_bytes()
    target = state_of(0).params
    outcomes = set()
    for position in range(0, len(content), max(len(content) // 25, 1)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << (position % 8)
        file.write_bytes(flipped)
        try:
            params, _ = restore_params(tmp_path, target)
        except DataError:
            outcomes.add("caught")
            continue
        np.testing.assert_array_equal(params["table"], state_of(1).params["table"])
    assert outcomes == {"caught"}


def test_truncated_newest_step_is_set_aside_and_its_place_is_free(tmp_path, capsys):
    saved(tmp_path, [1, 2])
    file = payload(tmp_path / "2")
    os.truncate(file, file.stat().st_size // 2)
    assert restored_step(tmp_path) == 1
    assert "step 2" in capsys.readouterr().err
    assert (tmp_path / "damaged-2").is_dir()
    saved(tmp_path, [2])
    assert restored_step(tmp_path) == 2


@pytest.mark.parametrize(
    "harm", [lambda path: os.truncate(path, path.stat().st_size // 2), os.unlink], ids=["cut", "gone"]
)
def test_any_file_of_the_newest_step_may_be_cut_or_gone(tmp_path, capsys, harm):
    rows = 20_000  # so that the values of a table lie in a file of their own, which is read last
    saved(tmp_path / "whole", [1, 2], rows=rows)
    newest = tmp_path / "whole" / "2"
    needed = {payload(newest, item) for item in ("params", "optimizer")} | {newest / "record" / "metadata"}
    for path in sorted(path for path in newest.rglob("*") if path.is_file()):
        folder = tmp_path / "harmed"
        shutil.copytree(tmp_path / "whole", folder)
        harm(folder / path.relative_to(tmp_path / "whole"))
        capsys.readouterr()
        step = restored_step(folder, rows=rows)
        told = [line for line in capsys.readouterr().err.splitlines() if "checkpoint of step 2 is not used: " in line]
        assert len(told) == (step == 1)
        assert step == 1 or path not in needed, path
        assert "Encountered error while reading" not in "".join(told)  # the cause, not that there was one
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    "failure", [MemoryError("no more"), jax.errors.JaxRuntimeError("INTERNAL"), KeyboardInterrupt()]
)
def test_what_is_no_fault_of_the_files_is_no_damage(tmp_path, monkeypatch, failure):
    saved(tmp_path, [1, 2])

    def fails(*_):
        raise Exception("Encountered error while reading array index") from failure

    monkeypatch.setattr(ocp.CompositeCheckpointHandler, "restore", fails)
    with pytest.raises(type(failure)), open_run(tmp_path) as checkpoints:
        checkpoints.restore_latest(state_of(0))
    assert steps_in(tmp_path) == [1, 2]


def test_empty_step_folder_and_what_a_killed_writer_leaves(tmp_path):
    saved(tmp_path, [1])
    (tmp_path / "2").mkdir()
    (tmp_path / "3.orbax-checkpoint-tmp").mkdir()
    (tmp_path / "deleted" / "0").mkdir(parents=True)
    assert restored_step(tmp_path) == 1
    assert not (tmp_path / "3.orbax-checkpoint-tmp").exists()
    assert not (tmp_path / "deleted").exists()


def test_second_writer_is_refused_and_a_dead_one_holds_nothing(tmp_path):
    holder = "import pathlib, sys; from runtime.lock import lock_folder; f = lock_folder(pathlib.Path(sys.argv[1]));"
    with subprocess.Popen(
        [sys.executable, "-c", holder + "print('held', flush=True); input()", str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(UsageError, match=f"process {other.pid} is writing here"):
            open_run(tmp_path)
        other.kill()
    open_run(tmp_path).close()


def test_checkpoints_of_another_run(tmp_path):
    saved(tmp_path, [1])
    with pytest.raises(UsageError, match=r"batch_size: 8 there, 16 now.*--workdir"):
        Checkpoints(tmp_path, fingerprint={"vocabulary": "abc", "batch_size": 16})
    assert restored_step(tmp_path) == 1  # the refused run has let go of the lock


def test_checkpoint_of_another_model_is_an_error_not_damage(tmp_path):
    saved(tmp_path, [1])
    with open_run(tmp_path) as checkpoints, pytest.raises(UsageError, match=r"\[4, 3\] there, .*\[5, 3\] now"):
        checkpoints.restore_latest(state_of(0, rows=5))
    with pytest.raises(UsageError, match=r"params/bias is .* there, missing now"):
        restore_params(tmp_path, {"table": state_of(0).params["table"]})
    assert steps_in(tmp_path) == [1]


def test_full_disk_is_an_os_error(tmp_path, monkeypatch):
    with open_run(tmp_path) as checkpoints:
        with monkeypatch.context() as patched:

            def full(*args, **kwargs):
                raise ValueError("INTERNAL: Error writing: No space left on device [kvstore='file:///x/']")

            patched.setattr(checkpoints._manager, "save", full)
            with pytest.raises(OSError, match="No space left") as error:
                checkpoints.save(1, state_of(1), {"next_index": 1})
        assert (error.value.errno, error.value.filename) == (errno.ENOSPC, str(tmp_path))


def test_restore_params_reads_shapes_alone_and_needs_no_lock(tmp_path):
    with open_run(tmp_path) as checkpoints:
        checkpoints.save(3, state_of(3), None)
        checkpoints.wait()
        params, step = restore_params(tmp_path, jax.eval_shape(lambda: state_of(0).params))
    assert step == 3
    np.testing.assert_array_equal(params["table"], state_of(3).params["table"])


def test_restore_params_where_nothing_is(tmp_path):
    with pytest.raises(UsageError, match="no checkpoint here"):
        restore_params(tmp_path, {})
    with pytest.raises(UsageError, match="no checkpoint here"):
        restore_params(tmp_path / "absent", {})


def test_nnx_state(tmp_path):
    model = nnx.Linear(3, 2, rngs=nnx.Rngs(0))
    params = nnx.state(model)
    with open_run(tmp_path) as checkpoints:
        checkpoints.save(1, TrainState(jnp.int32(1), params, {}), None)
    found, _ = restore_params(tmp_path, nnx.eval_shape(lambda: nnx.state(nnx.Linear(3, 2, rngs=nnx.Rngs(1)))))
    nnx.update(model, jax.tree.map(jnp.zeros_like, params))
    nnx.update(model, found)
    np.testing.assert_array_equal(model.kernel[...], params["kernel"][...])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32", "uint8", "bool"])
def test_digest_tells_every_bit_and_every_place(dtype):
    size = jnp.zeros((), dtype).nbytes
    zeros = np.zeros((2, 3), dtype)
    seen = {int(digests({"x": zeros})["x"])}
    for place in range(6):
        for bit in range(1 if dtype == "bool" else 8 * size):
            words = np.zeros(6 * size, np.uint8)
            words[place * size + bit // 8] = 1 << (bit % 8)
            seen.add(int(digests({"x": words.view(zeros.dtype).reshape(2, 3)})["x"]))
    assert len(seen) == 1 + 6 * (1 if dtype == "bool" else 8 * size)
