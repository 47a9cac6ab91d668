"""Every encoder, and one added as BUILD.md says: one event at a time is the whole history, and a model trains."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from configs.retrieval import get_config
from encoders import registry
from retrieval import checkpoint
from retrieval import run as training
from runtime.errors import UsageError
from tests.helpers.event_by_event import last_queries
from tests.logs import random_timelines

B, T, IN, HIDDEN, DIM = 3, 7, 5, 4, 6


class Decay(nnx.Module):
    """A sum of projected events that fades: h ← a h + W x, with a learned rate a = σ(r) for each of its numbers."""

    def __init__(self, in_features, hidden, dim, *, rngs):
        self.rate = nnx.Param(jnp.zeros(hidden))
        self.inputs, self.outputs = nnx.Linear(in_features, hidden, rngs=rngs), nnx.Linear(hidden, dim, rngs=rngs)
        self.state_size = hidden

    def step(self, states, events):
        return jax.nn.sigmoid(self.rate[...]) * states + self.inputs(events)

    def states(self, events, *, where, reset=None):
        state, found = jnp.zeros((events.shape[0], self.state_size)), []
        for t in range(events.shape[1]):
            if reset is not None:
                state = jnp.where(reset[:, t, None], 0.0, state)
            state = jnp.where(where[:, t, None], self.step(state, events[:, t]), state)
            found.append(state)
        return jnp.stack(found, axis=1)

    def queries(self, states):
        return self.outputs(states)


@pytest.fixture
def added(monkeypatch):
    monkeypatch.setattr(registry, "ENCODERS", {**registry.ENCODERS, "decay": Decay})
    monkeypatch.setattr(checkpoint, "ENCODERS", registry.ENCODERS)


@pytest.mark.parametrize("name", [*registry.ENCODERS, "decay"])
def test_one_event_at_a_time_is_the_whole_history(added, name):
    encoder = registry.ENCODERS[name](IN, HIDDEN, DIM, rngs=nnx.Rngs(0))
    rng = np.random.default_rng(0)
    events = jnp.asarray(rng.normal(size=(B, T, IN)), jnp.float32)
    where, reset = jnp.asarray(rng.random((2, B, T)) < [[[0.7]], [[0.2]]])
    states = encoder.states(events, where=where, reset=reset)
    state = jnp.zeros((B, encoder.state_size))
    for t in range(T):
        state = jnp.where(reset[:, t, None], 0.0, state)
        state = jnp.where(where[:, t, None], encoder.step(state, events[:, t]), state)
        np.testing.assert_allclose(states[:, t], state, rtol=1e-5, atol=1e-6)
    assert encoder.queries(states).shape == (B, T, DIM)


def test_an_added_encoder_trains_and_serves_one_event_at_a_time(added, tmp_path):
    log = random_timelines.write(tmp_path / "timelines")
    config = get_config("tiny,dislike_input_and_label")
    config.update({"encoder": "decay", "dim": 6, "hidden": HIDDEN, "length": 8, "batch_size": 4, "num_epochs": 1})
    config.update({"positive": ("long_view", "like"), "memory_size": 2})
    training.train(config, data=str(log.path), workdir=str(tmp_path / "run"))
    model = checkpoint.load(tmp_path / "run", log)
    history = {"item": [[1, 2, 3]], "dwell": [[3, 4, 5]], "feedback": [[0, 4, 0]]}
    padded = {name: np.pad(np.array(values, np.int32), ((0, 0), (5, 0))) for name, values in history.items()}
    np.testing.assert_allclose(model.encode(padded), last_queries(model, history), rtol=1e-5, atol=1e-6)


def test_an_encoder_that_is_not_there_is_refused(tmp_path):
    config = get_config("tiny")
    config.encoder = "lstm"
    with pytest.raises(UsageError, match=r"--config\.encoder=lstm: one of gru"):
        checkpoint.check(config)
