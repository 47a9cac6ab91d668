"""The weights of what is counted: as a fit by hand has them, and what a model with them scores, exports and refits."""

import shutil

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import log_softmax

from configs.retrieval import get_config
from data.events_read import Reader
from data.feedback import BITS
from retrieval import checkpoint
from retrieval.counted import files
from retrieval.counted import weights as fitting
from retrieval.counted.parts import KINDS, NOES, made
from retrieval.counted.reactions import Reactions
from retrieval.queries import asked
from retrieval.run import refit_config, train
from runtime.errors import DataError, UsageError
from tests.helpers.event_by_event import last_queries
from tests.logs import random_timelines

R, T = 4, 16
LIKE, NO = 1 << BITS["like"], 1 << BITS["dislike"]
SETTINGS = {"dim": 6, "hidden": 7, "length": 8, "counted_length": T, "memory_size": 2, "covisitation_dim": R}


def settings(**changed):
    config = get_config("demo,dislike_input_and_label")
    config.update({**SETTINGS, "batch_size": 2, "num_epochs": 1, "warmup_steps": 1, **changed})
    return config


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    root = tmp_path_factory.mktemp("weights")
    log = random_timelines.write(root / "timelines", lengths=[20] * 100, num_items=60, loyal=True)
    train(settings(), data=str(root / "timelines"), workdir=str(root / "train"))
    return log, root / "train"


def histories(seed, *, length=T, rows=6):
    rng = np.random.default_rng(seed)
    return {
        "item": rng.integers(0, 28, (rows, length)).astype(np.int32),
        "dwell": rng.integers(1, 8, (rows, length)).astype(np.int32),
        "feedback": rng.choice([0, LIKE, NO], (rows, length)).astype(np.int32),
    }


def scores_by_hand(folder, log, split, inputs, weights):
    """Of the towers alone, on what they read, and of each part alone, [Q, N + 1] each, by their weights."""
    counted, _ = files.read(folder, split)
    towers = checkpoint.load(folder, log, weights={"towers": 1.0})
    total = weights["towers"] * np.asarray(towers.encode(inputs)) @ towers.item_vectors().T
    events = Reactions(towers.config).read(*(inputs[name] for name in ("item", "dwell", "feedback")))
    for part in made(counted, weights, log.item_content(), towers.config):
        total += np.asarray(part.queries(part.after(part.vectors, events)) @ part.vectors.T)
    return total


def test_weights_are_those_of_the_greatest_likelihood_on_the_validation_days(trained):
    log, folder = trained
    _, weights = files.read(folder, "valid")
    assert weights.keys() == {"towers", *KINDS, NOES}
    assert min(weights.values()) >= 0
    del weights[NOES]  # which no likelihood tells

    run = checkpoint.load(folder, log, until="valid")
    questions = asked(log, split="valid", positive=run.config.positive)
    reader = Reader(log.feedback, run.reading)
    names = list(weights)
    parts = []
    for of in questions.values():
        inputs = log.histories(of.moments.user, of.moments.before, reader)
        # With noes forgotten and no more.
        alone = [{"towers": 0.0, name: 1.0} | ({NOES: 1.0} if name == "covisitation" else {}) for name in names]
        each = [scores_by_hand(folder, log, "valid", inputs, of) for of in alone]
        where = of.of("targets")
        rows = where.any(axis=1)
        met = np.zeros((len(where), log.num_items + 1), bool)
        met[of.met()] = True
        parts.append((np.stack(each)[:, rows], met[rows], of.items[rows], where[rows]))

    def loss(found):
        losses = []
        for each, met, items, where in parts:
            log_p = log_softmax(np.where(met, -np.inf, np.tensordot(found, each, 1)), axis=1)
            own = np.where(where, np.take_along_axis(log_p, np.where(where, items, 1), axis=1), 0.0)
            losses.append(-(own.sum(axis=1) / where.sum(axis=1)).mean())
        return np.mean(losses)

    found = np.array([*weights.values()])
    best = minimize(loss, found, method="Nelder-Mead", bounds=[(0, 1e3)] * len(names), options={"maxiter": 500})
    assert loss(found) < best.fun + 1e-4
    towers, unfitted = ([of.get(name, 0.0) for name in names] for of in ({"towers": 1.0}, fitting.UNFITTED))
    assert loss(found) < min(loss(towers), loss(unfitted)) - 0.01


def test_a_no_goes_by_what_co_visitation_weighs_without_towers(trained):
    log, folder = trained
    counted, of_run = files.read(folder, "valid")
    know = checkpoint.load(folder, log, until="valid", weights={"covisitation": 15.0})  # as towers that know the same
    fitted = fitting.fit(know, counted, log)
    alone = fitting.fit(know, counted, log, terms=tuple(KINDS))
    assert fitted["covisitation"] < alone["covisitation"] - 1.0
    np.testing.assert_allclose([fitted[NOES], of_run[NOES]], 0.7 * alone["covisitation"], rtol=1e-2)


@pytest.mark.parametrize(
    ("changed", "noes"), [({"covisitation_noes_weight": 7.0}, {NOES: 7.0}), ({"memory_feedback": ()}, {})]
)
def test_a_config_may_say_how_much_a_no_takes_away_or_that_none_is_remembered(trained, changed, noes):
    log, folder = trained
    counted, _ = files.read(folder, "valid")
    towers = checkpoint.load(folder, log, until="valid", weights={"towers": 1.0})
    towers.config.update(changed)
    fitted = fitting.fit(towers, counted, log, terms=tuple(KINDS))
    assert {name: weight for name, weight in fitted.items() if name == NOES} == noes


def test_scores_are_the_weighted_sum_whole_or_event_by_event(trained):
    log, folder = trained
    weights = {
        "towers": 0.7,
        "covisitation": 3.0,
        NOES: 2.0,
        "categories": 0.5,
        "popularity": 0.1,
        "popularity_1d": 0.0,
        "popularity_7d": 0.2,
    }
    run = checkpoint.load(folder, log, weights=weights)
    inputs = histories(0, length=8)  # so many that the towers read all
    scores = np.asarray(run.encode(inputs)) @ run.item_vectors().T
    expected = scores_by_hand(folder, log, "test", inputs, weights)
    np.testing.assert_allclose(scores[:, 1:], expected[:, 1:], rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(last_queries(run, inputs) @ run.item_vectors().T, scores, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("weights", "there"),
    [
        ({"covisitation": 3.0, NOES: 0.0}, ["CoVisitation"]),
        ({"covisitation": 0.0, NOES: 2.0}, ["CoVisitation"]),
        ({"covisitation": 0.0, NOES: 0.0}, []),
        ({"covisitation": 0.0}, []),
        ({"categories": 0.0, "popularity": 0.1}, ["Popularity"]),
    ],
)
def test_parts_that_say_nothing_are_left_out(trained, weights, there):
    log, folder = trained
    counted, _ = files.read(folder, "test")
    parts = made(counted, weights, log.item_content(), settings())
    assert [type(part).__name__ for part in parts] == there


def test_without_towers_and_popularity_an_empty_history_is_answered_by_what_is_popular(trained):
    log, folder = trained
    nothing_popular = dict.fromkeys(("popularity", "popularity_1d", "popularity_7d"), 0.0)
    fitted = {"towers": 0.0, "covisitation": 3.0, "categories": 0.5, **nothing_popular}
    weights = fitting.for_newcomers(fitted)
    assert weights == {**fitted, "popularity_7d": 0.001}
    counted, _ = files.read(folder, "test")
    positives = np.arange(log.num_items + 1, dtype=np.float32)
    counted["popularity_7d"] = {"positives": positives}
    config = checkpoint.load(folder, log).config
    nothing = Reactions(config).read(*np.zeros((3, 1, T), np.int32))
    parts = made(counted, weights, log.item_content(), config)
    scores = sum(np.asarray(part.queries(part.after(part.vectors, nothing)) @ part.vectors.T) for part in parts)
    np.testing.assert_allclose(scores[0], 0.001 * np.log(1 + positives), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("tells", [{"towers": 0.1}, {"popularity_1d": 0.2}, {"popularity": 0.2}])
def test_what_tells_of_an_empty_history_by_itself_stays_as_it_was_fitted(tells):
    fitted = {"towers": 0.0, "covisitation": 3.0, "popularity_1d": 0.0, "popularity_7d": 0.0, **tells}
    assert fitting.for_newcomers(fitted) == fitted
    assert fitting.for_newcomers({"towers": 0.0, "covisitation": 3.0}) == {"towers": 0.0, "covisitation": 3.0}


def test_of_a_longer_history_the_towers_read_the_newest_and_older_noes(trained):
    log, folder = trained
    run = checkpoint.load(folder, log, weights={"towers": 1.0})
    both = checkpoint.load(folder, log)
    assert (run.reading.length, both.reading.length) == (8, T)
    inputs = histories(1)
    inputs["feedback"][:] = 0
    inputs["item"][:] = np.maximum(inputs["item"], 1)
    inputs["feedback"][:, [1, 3]] = NO
    kept = [1, 3, *range(T - 6, T)]
    expected = run.encode({name: column[:, kept] for name, column in inputs.items()})
    np.testing.assert_allclose(run.encode(inputs), expected, rtol=1e-5, atol=1e-6)


def test_new_items_have_the_vectors_of_their_content(trained):
    log, folder = trained
    weights = {"towers": 1.0, "covisitation": 3.0, "categories": 4.0, "popularity_7d": 0.2}
    run = checkpoint.load(folder, log, weights=weights)
    content = log.item_content()
    vectors = np.asarray(run.of_content_with(run.weights, content.codes[1:3], content.embeddings[1:3]))
    assert vectors.shape == (2, run.item_vectors().shape[1])
    assert vectors[:, :6].any()
    met = 6 + len(run.config.trend_days) + R  # nobody has met them
    assert not vectors[:, 6:met].any()
    np.testing.assert_array_equal(vectors[:, met:-1], run.item_vectors()[1:3, met:-1])
    assert not vectors[:, -1].any()  # nor liked them


def test_a_model_trained_once_more_keeps_its_weights(trained, tmp_path):
    log, folder = trained
    config = refit_config(str(folder), get_config(), log)
    train(config, data=str(log.path), workdir=str(tmp_path / "final"))
    assert files.read(tmp_path / "final", "test")[1] == files.read(folder, "test")[1]


@pytest.mark.parametrize("towers", [0.0, 0.5])
def test_training_says_where_the_towers_have_no_weight(trained, tmp_path, towers):
    _, folder = trained
    config = settings(counted_weights=(towers, 3.0, 0.0, 0.0, 0.0, 0.2))
    said = train(config, data=str(folder.parent / "timelines"), workdir=str(tmp_path / "train"))
    assert ("; the validation days gave the towers no weight: what is served only counts: /" in said) == (towers == 0)
    assert said.endswith(f": {tmp_path / 'train'}")


def test_without_anything_to_fit_by_weights_are_those_of_other_logs(trained, tmp_path, monkeypatch):
    log, folder = trained
    nothing = dict.fromkeys(("categories", "popularity", "popularity_1d", "popularity_7d"), 0.0)
    unfitted = {"towers": 1.0, "covisitation": 15.0, NOES: 10.0, **nothing}
    counted, _ = files.read(folder, "valid")
    towers = checkpoint.load(folder, log, weights={"towers": 1.0})
    for name, value in (("_FEWEST", 10_000), ("_SCORES", 1)):
        with monkeypatch.context() as patched:
            patched.setattr(fitting, name, value)
            assert fitting.fit(towers, counted, log) == unfitted
    train(settings(train_on=("train", "valid")), data=str(log.path), workdir=str(tmp_path / "train"))
    assert files.read(tmp_path / "train", "test")[1] == unfitted


def test_files_that_are_damaged_or_gone_are_refused(trained, tmp_path):
    log, folder = trained
    shutil.copytree(folder, tmp_path / "damaged")
    file = tmp_path / "damaged" / files.FOLDER / "test" / "covisitation.npz"
    file.write_bytes(file.read_bytes()[:-1] + b"\1")
    with pytest.raises(DataError, match=r"covisitation\.npz"):
        checkpoint.load(tmp_path / "damaged", log)
    shutil.rmtree(tmp_path / "damaged" / files.FOLDER)
    with pytest.raises(UsageError, match="a run of an older version, with nothing counted; train it again"):
        checkpoint.load(tmp_path / "damaged", log)


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("counted", ("clusters",), r"only covisitation, categories, popularity, popularity_1d, popularity_7d"),
        ("counted_weights", (1.0,), r"one for the towers, and one for each of"),
        ("counted_weights", (1.0, -1.0, 0.0, 0.0, 0.0, 0.0), r"each must be finite and not negative"),
        ("counted_length", 0, r"must be at least 1"),
        ("trend_days", (1, 0), r"each must be finite and above 0"),
        ("trend_days", ("week",), r"each must be finite and above 0"),
        ("covisitation_dim", 0, r"must be at least 1"),
        ("covisitation_decay", 0.0, r"must be above 0 and at most 1"),
        ("category_decay", 1.5, r"must be above 0 and at most 1"),
        ("category_prior", 0.0, r"must be finite and above 0"),
        ("covisitation_prior", 0.0, r"must be finite and above 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(trained, tmp_path, setting, value, words):
    _, folder = trained
    with pytest.raises(UsageError, match=rf"--config\.{setting}=.*{words}"):
        train(settings(**{setting: value}), data=str(folder.parent / "timelines"), workdir=str(tmp_path / "train"))
