"""The compilation cache: where it is, and that training goes on without one."""

import subprocess
import sys

import pytest

from tests.command_line import ROOT

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
