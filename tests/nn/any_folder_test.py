"""A SavedModel is loaded from its own folder, whatever that is called."""

import pytest
import tensorflow as tf

from nn.any_folder import load, warning


def _saved(folder, value):
    module = tf.Module()
    module.value = tf.Variable([value])
    module.plus = tf.function(lambda x: x + module.value, input_signature=[tf.TensorSpec([1])])
    tf.saved_model.save(module, str(folder))


@pytest.mark.parametrize(("name", "match"), [("a[1] b", "a1 b"), ("back\\slash", "backslash"), ("w?*", "what")])
def test_a_model_is_loaded_from_its_own_folder(tmp_path, name, match):
    _saved(tmp_path / match, 7.0)
    _saved(tmp_path / name, 5.0)
    assert load(tmp_path / name).plus(tf.zeros(1)).numpy() == [5.0]


def test_whoever_serves_it_is_warned(tmp_path):
    assert not warning("/srv/runs, one/final")
    assert "take [ ] in a path for a pattern" in warning("/srv/runs[1]/final")
