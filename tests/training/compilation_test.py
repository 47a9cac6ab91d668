"""The compilation cache: where it is, and that training goes on without one."""

import subprocess
import sys

import pytest

from tests.helpers.command_line import ROOT

_OPTIONS = "from training.compilation import narrow_row_options as f; import jax; print(f()); "
_OPTIONS += "print(jax.jit(lambda x: x + 1, compiler_options=f())(1))"
_CODE = "from training.compilation import enable_compilation_cache as f; f(); import jax; "
_CODE += "print(jax.jit(lambda x: x + 1)(1), jax.config.jax_compilation_cache_dir)"


@pytest.mark.parametrize("writable", [True, False])
def test_the_cache_is_where_the_environment_says_and_no_more_than_a_cache(monkeypatch, tmp_path, writable):
    folder = tmp_path / "cache"
    if not writable:
        folder.write_text("a file stands where the folder should be")
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(folder))
    monkeypatch.setenv("NPROC", "3")
    done = subprocess.run([sys.executable, "-c", _CODE], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", str(folder / "3_threads") if writable else "None"]
    assert not done.stderr
    assert not writable or list((folder / "3_threads").iterdir())


@pytest.mark.parametrize("flags", ["", "--xla_cpu_experimental_ynn_fusion_type="])
def test_options_of_narrow_rows_are_known_to_xla_and_leave_the_users_own_alone(monkeypatch, flags):
    monkeypatch.setenv("XLA_FLAGS", flags)
    done = subprocess.run([sys.executable, "-c", _OPTIONS], cwd=ROOT, capture_output=True, text=True, check=True)
    options, result = done.stdout.splitlines()
    assert (options == "None", result) == (bool(flags), "2")
