"""The loss of packed batches against one user and one event at a time, and what a model may and may not depend on."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.retrieval import get_config
from data.events_read import Reader, Reading
from data.feedback import BITS, NEGATIVE, POSITIVE, label_kinds
from data.loader import PackedBatches
from encoders.labels import last_places
from retrieval.checkpoint import Retriever, build
from retrieval.objective import gradient_norms, make_loss
from retrieval.trends import served
from runtime.errors import UsageError
from tests.helpers.event_by_event import last_queries
from tests.logs import random_timelines
from training.names import named_leaves

T = 16  # longer than any user's training events: one window holds all of a user's past


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return random_timelines.write(tmp_path_factory.mktemp("log") / "t")


def config_of(signals="dislike_input_and_label", **options):
    config = get_config(f"tiny,{signals}")
    config.update({"dim": 6, "hidden": 7, "length": T, "batch_size": 2, "dropout": 0.0, "block_size": 5})
    config.update({"positive": ("long_view", "like"), "among_unmet": False, **options})
    return config


def parameters_of(model):
    """Random ones: some of a model's parameters start at zero, where they would have no influence."""

    @jax.jit
    def noisy(key):
        leaves, structure = jax.tree.flatten(model.init(key))
        keys = jax.random.split(key, len(leaves))
        noise = [0.3 * jax.random.normal(key, leaf.shape) for key, leaf in zip(keys, leaves, strict=True)]
        return jax.tree.unflatten(structure, [leaf + extra for leaf, extra in zip(leaves, noise, strict=True)])

    return noisy(jax.random.key(0))


@pytest.fixture(scope="module")
def model(log):
    """The model of `config_of()`, and of any config that differs in its labels or softmax only."""
    return build(config_of(), log)


@pytest.fixture(scope="module")
def params(model):
    return parameters_of(model)


@pytest.fixture(scope="module")
def retriever(model, params, log):
    return Retriever(model.merge, params, config_of(), log.num_items)


@pytest.fixture(scope="module")
def batches(log):
    return batches_of(log, config_of())


def batches_of(log, config):
    return PackedBatches(
        log,
        length=config.length,
        batch_size=config.batch_size,
        num_epochs=1,
        positive=config.positive,
        negative=config.negative,
        seed=0,
        of_labels={"there": log.num_there_at},
    )


def loss_of(log, config, model, batches):
    corpus = {"label_counts": batches.label_counts(), "upload_place": log.upload_place}
    return make_loss(model.merge, config, num_items=log.num_items, **corpus)


def brute_force(log, config, retriever):
    """Equation 1 summed over all training events, each from its user's whole past, unpacked; (positive, negative)."""
    kinds = label_kinds(log.feedback, positive=config.positive, negative=config.negative)
    user = log.user_of_event()
    events = np.flatnonzero((kinds > 0) & log.in_split("train"))
    queries = np.float64(retriever.encode(log.histories(user[events], events, Reader(log.feedback, Reading(T)))))
    logits = queries @ np.float64(retriever.item_vectors()[1:]).T
    later = np.broadcast_to(log.later(log.timestamp_ms[events]), (len(events), log.num_items + 1))
    logits[later[:, 1:]] = -np.inf
    if config.among_unmet:
        for row, event in zip(logits, events, strict=True):
            met = log.item[log.offsets[user[event]] : event]
            row[met[met != log.item[event]] - 1] = -np.inf
    label = logits[np.arange(len(events)), log.item[events] - 1]
    p = np.exp(label - np.log(np.exp(logits).sum(axis=1)))
    positive = -np.log(p[kinds[events] == POSITIVE]).sum()
    negative = -np.log(1 - p[kinds[events] == NEGATIVE]).sum()
    return positive, negative, (kinds[events] == POSITIVE).sum()


@pytest.mark.parametrize(("uploaded", "among_unmet"), [(False, False), (False, True), (True, False), (True, True)])
def test_packed_batches_give_the_loss_of_each_user_alone(uploaded, among_unmet, log, model, params, retriever):
    log = random_timelines.uploaded(log) if uploaded else log
    config = config_of(negative_weight=40.0, positive_weight=2.0, among_unmet=among_unmet)
    batches = batches_of(log, config)
    loss_fn = jax.jit(loss_of(log, config, model, batches))
    total, positive_total, positives = 0.0, 0.0, 0
    for index in range(len(batches)):
        batch = batches[index]
        loss, metrics = loss_fn(params, batch, jax.random.key(0))
        count = np.sum(batch["label_kind"] == POSITIVE)
        assert metrics["labels"] == np.sum(batch["label_kind"] > 0)
        total, positives = total + float(loss) * count, positives + count
        positive_total += float(metrics["positive_loss"]) * count
    positive, negative, expected_positives = brute_force(log, config, retriever)
    assert positives == expected_positives
    assert total == pytest.approx(2 * positive + 40 * negative, rel=1e-4)
    assert positive_total == pytest.approx(2 * positive, rel=1e-4)


def test_samples_that_hold_every_item_often_are_close_to_exact(log, model, params, batches):
    config = config_of(among_unmet=True)
    exact, _ = jax.jit(loss_of(log, config, model, batches))(params, batches[0], jax.random.key(0))
    for softmax in ("uniform", "log_uniform", "mixed"):
        config = config_of(softmax=softmax, num_candidates=4096, among_unmet=True)
        loss, _ = jax.jit(loss_of(log, config, model, batches))(params, batches[0], jax.random.key(0))
        assert float(loss) == pytest.approx(float(exact), rel=0.05)


def test_in_batch_negatives_of_one_item_have_nothing_to_teach(log, model, params, batches):
    loss_fn = loss_of(log, config_of(softmax="in_batch"), model, batches)
    gradient_fn = jax.jit(jax.grad(lambda *arguments: loss_fn(*arguments)[0]))
    batch = batches[0]
    gradient = gradient_fn(params, batch, jax.random.key(0))
    assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))
    assert any(np.any(leaf) for leaf in jax.tree.leaves(gradient))
    gradient = gradient_fn(params, {**batch, "label": np.full_like(batch["label"], 5)}, jax.random.key(0))
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradient))


def test_negative_weight_scales_the_negative_term_only(log, model, params, batches):
    def measured(weight):
        loss_fn = loss_of(log, config_of(negative_weight=weight), model, batches)

        @jax.jit
        def all_of(params, batch, key):
            loss, metrics = loss_fn(params, batch, key)
            return {"loss": loss, **metrics, **gradient_norms(loss_fn, params, batch, key)}

        return {name: float(x) for name, x in all_of(params, batches[0], jax.random.key(0)).items()}

    one, many = measured(1.0), measured(300.0)
    for name in ("positive_loss", "negative_p", "positive_gradient_norm"):
        assert many[name] == pytest.approx(one[name], rel=1e-6)
    negative_term = one["loss"] - one["positive_loss"]
    assert negative_term > 0
    assert many["loss"] - many["positive_loss"] == pytest.approx(300 * negative_term, rel=1e-3)
    assert many["negative_gradient_norm"] == pytest.approx(300 * one["negative_gradient_norm"], rel=1e-4)


def disliked_beside(log, event, kinds):
    """Items of the user's disliked events next to `event` among its training events, before and after."""
    user = log.user_of_event()[event]
    mine = [e for e in range(log.offsets[user], log.valid_start[user]) if kinds[e] == NEGATIVE]
    before, after = [e for e in mine if e < event][-1:], [e for e in mine if e > event][:1]
    return [log.item[e] for e in (*before, *after) if log.item[e] != log.item[event]]


def disliked_by(log, event, kinds):
    """Items of all disliked events of the user of `event` among its training events."""
    user = log.user_of_event()[event]
    return [log.item[e] for e in range(log.offsets[user], log.valid_start[user]) if kinds[e] == NEGATIVE]


_WEIGHTS = {"negative_weight": 3.0, "denominator_weight": 3.0, "positive_weight": 2.0, "reinforce_weight_cap": 1.5}


@pytest.mark.parametrize(
    "objective",
    ["negative_weight", "reinforce", "softmax_negatives", "label_and_softmax_negatives", "contrastive"],
)
def test_the_alternatives_give_the_loss_of_each_event_alone(log, model, params, retriever, batches, objective):
    config = config_of(objective=objective, **_WEIGHTS)
    loss_fn = jax.jit(loss_of(log, config, model, batches))
    kinds = label_kinds(log.feedback, positive=config.positive, negative=config.negative)
    events = np.flatnonzero((kinds > 0) & log.in_split("train"))
    queries = np.float64(
        retriever.encode(log.histories(log.user_of_event()[events], events, Reader(log.feedback, Reading(T))))
    )
    logits = queries @ np.float64(retriever.item_vectors()).T
    counts = batches.label_counts()
    expected = 0.0
    for event, scores in zip(events, logits, strict=True):
        label, reward = log.item[event], {POSITIVE: 2.0, NEGATIVE: -3.0}[kinds[event]]
        times = np.ones(log.num_items + 1)
        times[0] = 0
        if objective == "contrastive":
            disliked = disliked_by(log, event, kinds)
            reward = 0.0 if label in disliked else max(reward, 0.0)  # vetoed
            np.add.at(times, [item for item in disliked if item != label], 3.0)
        if objective == "softmax_negatives":
            reward = max(reward, 0.0)
        if objective.endswith("softmax_negatives") and kinds[event] == POSITIVE:
            np.add.at(times, disliked_beside(log, event, kinds), 3.0 - 1)
        log_p = scores[label] - np.log(np.sum(times * np.exp(scores)))
        if objective == "label_and_softmax_negatives" and kinds[event] == NEGATIVE:
            reward, log_p = 3.0, np.log1p(-np.exp(log_p))
        if objective == "reinforce":
            behaviour = (counts[label] + 1) / (counts.sum() + log.num_items)
            reward *= min(np.exp(log_p) / behaviour, 1.5) * 16 * (1 - np.exp(log_p)) ** 15
        expected -= reward * log_p
    total = 0.0
    for index in range(len(batches)):
        loss, _ = loss_fn(params, batches[index], jax.random.key(0))
        total += float(loss) * np.sum(batches[index]["label_kind"] == POSITIVE)
    assert total == pytest.approx(expected, rel=1e-4)


def test_of_separate_histories_each_encoder_reads_and_is_asked_its_own(log):
    """PNFRec: mean cross entropies of both, and positives apart from every no of their user."""
    weights = {"positive_weight": 2.0, "negative_weight": 0.7, "opposing_weight": 0.45}
    config = config_of("separate_histories", batch_size=64, **weights)
    batches = batches_of(log, config)
    assert len(batches) == 1
    model = build(config, log)
    params = parameters_of(model)
    retriever = Retriever(model.merge, params, config, log.num_items)
    kinds = label_kinds(log.feedback, positive=config.positive, negative=config.negative)
    events = np.flatnonzero((kinds > 0) & log.in_split("train"))
    inputs = log.histories(log.user_of_event()[events], events, Reader(log.feedback, Reading(T)))
    vectors = np.float64(retriever.item_vectors())
    of_noes = model.merge(params).opposing_queries(
        inputs, jnp.float32(vectors), at=last_places(inputs["item"]), moment=None
    )
    logits = np.float64(retriever.encode(inputs)) @ vectors.T
    opposing = np.float64(of_noes) @ vectors.T
    expected = 0.0
    for event, likes, noes in zip(events, logits, opposing, strict=True):
        label, scores = log.item[event], likes if kinds[event] == POSITIVE else noes
        log_p = scores[label] - np.log(np.exp(scores[1:]).sum())
        if kinds[event] == NEGATIVE:
            expected -= 0.45 * log_p * (kinds[events] == POSITIVE).sum() / (kinds[events] == NEGATIVE).sum()
            continue
        apart = [item for item in disliked_by(log, event, kinds) if item != label]
        expected += -2.0 * log_p + 0.7 * np.log1p(np.exp(scores[apart] - scores[label]).sum())
    assert (kinds[events] == NEGATIVE).sum() > 3
    loss, _ = jax.jit(loss_of(log, config, model, batches))(params, batches[0], jax.random.key(0))
    assert float(loss) * (kinds[events] == POSITIVE).sum() == pytest.approx(expected, rel=1e-4)

    said_no = (inputs["feedback"] & (1 << BITS["dislike"])) > 0
    last = last_places(inputs["item"])
    others = {**inputs, "item": np.where(said_no, inputs["item"], 1 + inputs["item"] % log.num_items)}
    same = model.merge(params).opposing_queries(others, jnp.float32(vectors), at=last)
    np.testing.assert_array_equal(same, of_noes)  # whatever else was met
    turned = {**inputs, "item": np.where(said_no, 1 + inputs["item"] % log.num_items, inputs["item"])}
    changed = model.merge(params).opposing_queries(turned, jnp.float32(vectors), at=last)
    np.testing.assert_array_equal(np.any(changed != of_noes, axis=1), said_no.any(axis=1))
    disliked = {**inputs, "feedback": inputs["feedback"] | (1 << BITS["dislike"])}
    assert np.ptp(retriever.encode(disliked), axis=0).max() == 0.0  # nothing is left to read
    with pytest.raises(UsageError, match=r"--config\.opposing_feedback=\(\): what the encoder of noes reads"):
        loss_of(log, config_of(objective="separate_histories"), model, batches)
    with pytest.raises(UsageError, match=r"--config\.opposing_feedback=\('dislike',\): what the encoder of noes reads"):
        loss_of(log, config_of(opposing_feedback=("dislike",)), model, batches)
    with pytest.raises(UsageError, match=r"--config\.negative=\(\): what the encoder of noes"):
        loss_of(log, config_of("separate_histories", negative=()), model, batches)
    with pytest.raises(UsageError, match=r"--config\.denominator_weight=0\.5: how many times"):
        loss_of(log, config_of("label_and_softmax_negatives", denominator_weight=0.5), model, batches)


@pytest.mark.parametrize(
    ("signals", "learns"),
    [
        ("dislike_input_and_label", True),
        ("label_and_softmax_negatives", True),
        ("softmax_negatives", False),
        ("contrastive", False),
        ("separate_histories", False),
    ],
)
def test_who_only_says_no_teaches_what_is_recommended_by_the_label_alone(log, batches, signals, learns):
    """Batches without a positive: which losses have a gradient by the encoder that serves."""
    config = config_of(signals)
    model = build(config, log)
    params, batch = parameters_of(model), batches[0]
    kinds = np.where(batch["label_kind"] == POSITIVE, 0, batch["label_kind"])
    assert (kinds == NEGATIVE).any()
    loss_fn = loss_of(log, config, model, batches)
    gradient = jax.jit(jax.grad(lambda params: loss_fn(params, {**batch, "label_kind": kinds}, jax.random.key(0))[0]))
    leaves = named_leaves(gradient(params))
    assert all(np.all(np.isfinite(leaf)) for leaf in leaves.values())
    assert any(np.any(leaf) for name, leaf in leaves.items() if name.startswith("encoder/")) == learns


def test_excluded_events_are_not_read(log):
    config = config_of("dislike_excluded")
    model = build(config, log)
    retriever = Retriever(model.merge, parameters_of(model), config, log.num_items)
    # Servers have to say which events were disliked.
    assert retriever.input_feedback == ("like", "long_view", "dislike")
    inputs = log.histories(np.arange(log.num_users), log.test_start, Reader(log.feedback, Reading(T)))
    disliked = (inputs["feedback"] & (1 << BITS["dislike"])) > 0
    without = {name: np.where(disliked, 0, column) for name, column in inputs.items()}
    np.testing.assert_array_equal(retriever.encode(inputs), retriever.encode(without))
    np.testing.assert_allclose(last_queries(retriever, inputs), retriever.encode(without), atol=1e-5)


def test_a_batch_without_positives_or_without_labels_is_finite(log, model, params, batches):
    batch = batches[0]
    loss_fn = jax.jit(jax.value_and_grad(loss_of(log, config_of(), model, batches), has_aux=True))
    kinds = batch["label_kind"]
    for kept in (np.where(kinds == POSITIVE, 0, kinds), np.zeros_like(kinds)):
        (loss, metrics), gradient = loss_fn(params, {**batch, "label_kind": kept}, jax.random.key(0))
        assert np.isfinite(loss)
        assert all(np.all(np.isfinite(leaf)) for leaf in jax.tree.leaves(gradient))
        assert metrics["positive_loss"] == 0.0
    assert loss == 0.0  # of no label at all
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(gradient))


@pytest.mark.parametrize(("signals", "reads"), [("no_dislike_signal", False), ("dislike_input", True)])
def test_dislikes_are_read_where_the_config_says_so(log, signals, reads):
    config = config_of(signals)
    model = build(config, log)
    retriever = Retriever(model.merge, parameters_of(model), config, log.num_items)
    inputs = log.histories(np.arange(log.num_users), log.test_start, Reader(log.feedback, Reading(T)))
    queries = retriever.encode(inputs)
    disliked = retriever.encode({**inputs, "feedback": inputs["feedback"] ^ (1 << BITS["dislike"])})
    differs = np.any(queries != disliked, axis=1)
    np.testing.assert_array_equal(differs, inputs["item"].any(axis=1) & reads)  # no history, no dislike
    shared = retriever.encode({**inputs, "feedback": inputs["feedback"] ^ (1 << BITS["share"])})
    np.testing.assert_array_equal(queries, shared)  # what no config asks for is never read


def test_one_event_at_a_time_is_the_same_and_padding_may_stand_anywhere(log, retriever):
    inputs = log.histories(np.arange(log.num_users), log.test_start, Reader(log.feedback, Reading(T)))
    expected = retriever.encode(inputs)
    np.testing.assert_allclose(last_queries(retriever, inputs), expected, atol=1e-5)
    order = np.argsort(inputs["item"] > 0, axis=1, kind="stable")  # padding first
    moved = {name: np.take_along_axis(array, order, axis=1) for name, array in inputs.items()}
    np.testing.assert_allclose(retriever.encode(moved), expected, atol=1e-5)


def test_an_item_never_seen_in_training_has_the_vector_of_its_content(log, params, retriever):
    vectors = np.float64(retriever.item_vectors())
    leaves = {name: np.float64(leaf) for name, leaf in named_leaves(params).items()}
    creator, cluster = (leaves[f"items/feature_embeddings/{column}"] for column in (0, 1))
    item = np.arange(1, log.num_items + 1)
    content = creator[item % 4 + 1] + cluster[item % 2 + 1]
    seen = log.items["train_count"].to_numpy()[1:] > 0
    assert 0 < seen.sum() < log.num_items
    learned, trends = np.split(vectors, [6], axis=1)
    np.testing.assert_allclose(learned[1:], content + seen[:, None] * leaves["items/id_embedding"][1:], atol=1e-6)
    np.testing.assert_allclose(trends, served(log, config_of(), "test")[:, 0], rtol=1e-6)
    np.testing.assert_array_equal(vectors[0], 0.0)


def test_rows_that_fill_up_a_sharded_table_change_nothing(log, model, params, batches):
    larger = build(config_of(), log, model_shards=8)
    rows = {name: leaf.shape[:1] for name, leaf in named_leaves(larger.shapes).items()}
    assert rows["items/id_embedding"] == (24,)  # 20 items and padding, rounded up
    widened = jax.tree.map(
        lambda leaf, shape: jnp.full(shape.shape, 7.0).at[tuple(slice(n) for n in leaf.shape)].set(leaf),
        params,
        larger.shapes,
    )
    losses = []
    for some, values in ((model, params), (larger, widened)):
        counts = np.pad(batches.label_counts(), (0, 3 * (some is larger)))
        loss_fn = make_loss(some.merge, config_of(), num_items=log.num_items, label_counts=counts)
        losses.append(float(jax.jit(loss_fn)(values, batches[0], jax.random.key(0))[0]))
    assert losses[0] == pytest.approx(losses[1], rel=1e-6)


def test_unknown_settings(log, model, batches):
    with pytest.raises(
        UsageError, match=r"--config\.softmax_dtype=float16: with --config\.softmax=exact one of float32, b"
    ):
        loss_of(log, config_of(softmax_dtype="float16"), model, batches)
    with pytest.raises(
        UsageError, match=r"--config\.softmax_dtype=bfloat16: with --config\.softmax=mixed one of float32$"
    ):
        loss_of(log, config_of(softmax="mixed", softmax_dtype="bfloat16"), model, batches)
    with pytest.raises(UsageError, match=r"--config\.softmax=hierarchical: one of exact, uniform"):
        loss_of(log, config_of(softmax="hierarchical"), model, batches)
    with pytest.raises(UsageError, match=r"--config\.objective=hinge: one of not_to_recommend"):
        loss_of(log, config_of(objective="hinge"), model, batches)
    with pytest.raises(UsageError, match=r"--config\.negative_weight=0\.5: how many times"):
        loss_of(log, config_of(objective="softmax_negatives", negative_weight=0.5), model, batches)
    with pytest.raises(UsageError, match=r"--config\.input_feedback: no feedback 'hate'; one of click"):
        build(config_of(input_feedback=("hate",)), log)
