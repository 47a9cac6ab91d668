"""What ends a training and chooses its checkpoint: the same recall as the full measurement's, fooled by nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from ml_collections import ConfigDict

from data.events_read import Reading
from encoders.labels import at_places, last_places
from retrieval import full_corpus
from retrieval.queries import asked
from retrieval.validation import make_validation, metric
from tests.logs import random_timelines
from training.mesh import make_mesh

N, LENGTH = 300, 8
ONE_DEVICE = make_mesh(devices=jax.devices()[:1])
POSITIVE = ("long_view", "like")


class Table:
    """A model of two tables: a user's query is the sum of what the history's items ask for."""

    def __init__(self, params):
        self._asked, self._vectors = params["asked"], params["vectors"]

    def items(self):
        return self._vectors

    def states(self, inputs, vectors, *, at):
        asked = self._asked[inputs["item"]] * (inputs["item"] > 0)[..., None]
        return at_places(at, jnp.cumsum(asked, axis=1))

    def queries(self, states):
        return states


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log") / "timelines"
    return random_timelines.write(folder, lengths=np.full(40, 30), num_items=N, unseen=50, seed=2)


def config_of(**options):
    return ConfigDict(
        {"positive": POSITIVE, "eval_users": 1000, "seed": 0, "length": LENGTH, "memory_feedback": (), **options}
    )


def validated(log, params, **options):
    found = make_validation(config_of(**options), log, Table, ONE_DEVICE)(params)
    return {name: float(value) for name, value in found.items()}


def tables(seed, levels):
    """Small integers, which tie often and are exact in any order of summation; none of `levels` 0."""
    rng = np.random.default_rng(seed)
    if not levels:
        return {"asked": jnp.zeros((N + 1, 3)), "vectors": jnp.zeros((N + 1, 3))}
    drawn = (rng.integers(-levels, levels + 1, (N + 1, 3)).astype(np.float32) for _ in range(2))
    return dict(zip(("asked", "vectors"), map(jnp.asarray, drawn), strict=True))


def chance(log, k):
    """Mean over the users with a target of k / items not met before the validation days."""
    users = np.unique(log.held_out("valid", POSITIVE)[0])
    met = [len(np.unique(log.item[log.offsets[user] : log.valid_start[user]])) for user in users]
    return np.mean([min(1.0, k / (N - count)) for count in met])


@pytest.fixture(scope="module")
def growing(log):
    """A third of the items, and of the targets, are not there yet when the validation days begin."""
    return random_timelines.uploaded_late(log, np.arange(3, N + 1, 3), "valid")


@pytest.mark.parametrize("levels", [0, 1, 3, 1000])  # all alike, many ties, some, hardly any
@pytest.mark.parametrize("catalogue", ["log", "growing"])
def test_it_is_the_full_measurements_recall(request, catalogue, levels):
    log = request.getfixturevalue(catalogue)
    params = tables(1, levels)
    model = Table(params)

    def encode(inputs):
        return model.queries(model.states(inputs, None, at=last_places(inputs["item"])))

    scorer = full_corpus.ModelScorer(encode, params["vectors"], log, reading=Reading(LENGTH))
    queries = asked(log, split="valid", positive=POSITIVE)
    expected = full_corpus.evaluate(dict.fromkeys(queries, scorer), queries, log).metrics["recall@100"]
    assert validated(log, params) == {"recall@100": pytest.approx(expected, abs=1e-6)}


def test_the_towers_read_what_they_read_when_served_however_much_is_counted_beside_them(log):
    assert (log.valid_start - log.offsets[:-1]).max() > LENGTH
    counting = validated(log, tables(1, 3), counted=("covisitation",), counted_length=4 * LENGTH)
    assert counting == validated(log, tables(1, 3))


def test_a_model_of_zeros_has_the_recall_of_chance(log):
    found = validated(log, tables(0, 0))["recall@100"]
    assert found == pytest.approx(chance(log, 100), abs=1e-6)
    assert found < 0.4


def test_what_is_not_there_yet_is_neither_asked_for_nor_in_the_way(log, growing):
    # Scored above all else, it would take the places of what is there.
    params = tables(1, 3)
    first = {**params, "vectors": params["vectors"].at[3::3].set(1e3), "asked": jnp.abs(params["asked"]) + 1}
    alone = {**first, "vectors": first["vectors"].at[3::3].set(-1e3)}
    assert validated(growing, first) == validated(growing, alone)
    assert validated(log, first) != validated(log, alone)


def test_a_diverged_model_finds_nothing(log):
    params = tables(0, 0)
    assert validated(log, {**params, "vectors": params["vectors"] + np.nan}) == {"recall@100": 0.0}
    # A hundred and more items that are NaN stand before everything else, and nothing that is not is among the best.
    some = params["vectors"].at[: N // 2].set(np.nan)
    targets = log.held_out("valid", POSITIVE)[1]
    assert (targets >= N // 2).any()
    assert validated(log, {**params, "vectors": some}) == {"recall@100": 0.0}


def test_a_corpus_of_a_hundred_items_or_fewer_is_cut_at_a_tenth(tmp_path):
    assert [metric(n) for n in (5, 40, 100, 101, 10**6)] == [
        "recall@1",
        "recall@4",
        "recall@10",
        "recall@100",
        "recall@100",
    ]
    small = random_timelines.write(tmp_path / "small", num_items=20)
    zeros = {"asked": jnp.zeros((21, 3)), "vectors": jnp.zeros((21, 3))}
    found = make_validation(config_of(), small, Table, ONE_DEVICE)(zeros)
    assert list(found) == ["recall@2"]
    assert 2 / 20 <= float(found["recall@2"]) < 0.25  # of at most 20 and at least 10 unmet items
