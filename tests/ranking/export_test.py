"""The exported ranker against the model: as a SavedModel in a process that cannot import jax, and as ranker.jax."""

import json
import shutil
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
import pytest

from configs.ranking import get_config
from data import timelines as timelines_format
from data.impressions import history_ends
from data.timelines import Timelines
from metrics.calibration import IDENTITY, Calibrator
from ranking import checkpoint, log_statistics
from ranking.export import folder as exporting
from ranking.export import scorer as scoring
from ranking.export.folder import Options
from ranking.export.gamma_and_calibration import Choice, choose
from ranking.export.saved_model import unknown_surface
from runtime import artifact
from runtime.errors import UsageError
from tests.helpers.server_without_jax import ask
from tests.logs import impression_log

NUM_ITEMS, LENGTH = 40, 6
CHOICE = Choice(np.array([0.5, 0.1, -0.4]), (Calibrator(1.5, 0.3), Calibrator(0.7, -0.2), IDENTITY))  # EVV, FVV, GVV


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Impressions, where each user's first two events are earlier history: of unknown time and watch time.

    The items have embeddings.
    """
    folder = tmp_path_factory.mktemp("log")
    made = impression_log.write(folder / "made", num_users=12, num_items=NUM_ITEMS, per_day=2)
    first = np.arange(len(made.item)) - made.offsets[made.user_of_event()] < 2
    arrays = {n: getattr(made, n) for n in (*timelines_format.EVENT_DTYPES, *timelines_format.USER_DTYPES)}
    arrays |= {name: np.where(first, value, arrays[name]) for name, value in (("timestamp_ms", 0), ("play_ms", -1))}
    fields = {name: made.manifest[name] for name in ("vocabulary_hash", "item_features", "feedback", "surfaces")}
    looks = np.random.default_rng(0).normal(size=(NUM_ITEMS + 1, 3)) * (np.arange(NUM_ITEMS + 1) > 0)[:, None]
    fields["item_embeddings"] = [{"name": "item.look", "size": 3}]
    parts = {"items": made.items, "users": made.users, "embeddings": looks}
    timelines_format.write(folder / "log", arrays=arrays, fields=fields, **parts)
    return Timelines.open(folder / "log")


@pytest.fixture(scope="module")
def ranker(log):
    config = get_config("tiny,full")
    config.history_feedback, config.length = ("EVV", "FVV", "GVV", "long_view", "click"), LENGTH
    config.hidden, config.experts = (8,), 2
    statistics = log_statistics.build(log, config.history_feedback)
    model = checkpoint.build(config, log, statistics)
    params = jax.jit(model.init)(jax.random.key(0))
    params["features"]["content_projection"] = jax.tree.map(
        lambda start: 0.3 + start, params["features"]["content_projection"]
    )
    return checkpoint.Ranker(model.merge, params, config, log, statistics, None)


@pytest.fixture(scope="module")
def rates(ranker):
    return ranker.impressions.rates(np.arange(NUM_ITEMS + 1))


@pytest.fixture(scope="module")
def exported(log, ranker, rates, tmp_path_factory):
    """Written in one place and moved to another, with its metrics; and beside it lenient ones of the scorers below."""
    from nn.tensorflow_graph import XlaFunction, save
    from ranking.export import saved_model

    built = tmp_path_factory.mktemp("built") / "rankers"
    metrics = exporting.write(
        built / "strict",
        ranker=ranker,
        timelines=log,
        choice=CHOICE,
        options=Options(NUM_ITEMS, (1,), reject_unknown_ids=True),
        lineage={"checkpoint": 7},
    )
    for name, scorer in (("lenient", item_plus_events), ("sizes", sizes_it_is_called_with)):
        lenient = saved_model.ServedRanker(
            XlaFunction(scorer, *scoring.shapes(length=LENGTH, num_rates=rates.shape[1])),
            length=LENGTH,
            tasks=["like"],
            weights=np.array([2.0]),
            history_feedback=["EVV", "FVV", "GVV", "long_view", "click"],
            thresholds=ranker.statistics.thresholds,
            rates=rates,
            item_ids=np.arange(100, 100 + NUM_ITEMS),
            user_ids=np.arange(12),
            surfaces=["feed", "search"],
            max_candidates=NUM_ITEMS,
            reject_unknown_ids=Options().reject_unknown_ids,
        )
        save(lenient, lenient.signature(), built / name / "saved_model")
    return shutil.move(built, built.with_name("moved")), metrics


def item_plus_events(item, feedback, surface, user, platform, hour, gap, candidate, rates):
    """Stands in for a ranker of one task: the candidate's index / 100 plus the number of events / 1000."""
    del feedback, surface, user, platform, hour, gap, rates
    return (candidate / 100 + (item > 0).sum(axis=1, keepdims=True) / 1000)[..., None]


def sizes_it_is_called_with(item, feedback, surface, user, platform, hour, gap, candidate, rates):
    """Stands in for a ranker of one task: what it was compiled for, the requests plus the candidates / 1000."""
    del feedback, surface, user, platform, hour, gap, rates
    requests, candidates = (jnp.asarray(size, jnp.float32) for size in candidate.shape)
    return jnp.zeros((*candidate.shape, 1)) + 0 * item[:, :1, None] + requests + candidates / 1000


def positions_of(log):
    """Positions of known time: a user's first one, one after more than T events, and the one before it."""
    first = int(np.flatnonzero(log.timestamp_ms > 0)[0])
    late = int(log.offsets[1]) - 1
    return {"earlier_history_only": first, "more_than_T": late, "before_that": late - 1}


def inputs_at(log, ranker, rates, position, candidates):
    """What the model is given, with the rates that serving has; candidates filled up to one shape, so one program."""
    filled = np.zeros((1, NUM_ITEMS), np.int32)
    filled[0, : len(candidates)] = candidates
    found = ranker.impressions.inputs(np.array([position]), filled)
    return {**found, "rates": rates[found["candidate"]]}


def expected(log, ranker, rates, position, candidates, **changed):
    """Calibrated probabilities [c, 3] and scores [c] in float64, in the order of the candidates."""
    raw = ranker.score({**inputs_at(log, ranker, rates, position, candidates), **changed})
    raw = np.asarray(raw, np.float64)[0, : len(candidates)]
    probabilities = np.stack([c(raw[:, k]) for k, c in enumerate(CHOICE.calibrators)], axis=-1)
    return probabilities, probabilities @ CHOICE.weights


def request_at(requests, log, position, candidates):
    return requests.at(
        int(log.user_of_event()[position]),
        int(history_ends(log)[position]),
        time_ms=int(log.timestamp_ms[position]),
        surface=int(log.surface[position]),
        candidates=np.asarray(candidates),
    )


FEW, MANY = [7, 3, 40, 1, 12], list(range(NUM_ITEMS, 0, -1))
PADDED = "padding_everywhere"


@pytest.fixture(scope="module")
def requests(log, ranker):
    from ranking.export.requests import Requests

    made = Requests(log, ranker)
    late = positions_of(log)["more_than_T"]
    found = {name: request_at(made, log, position, FEW) for name, position in positions_of(log).items()}
    found["many"] = request_at(made, log, late, MANY)
    one = found["more_than_T"]
    found["unknown_user"] = {**one, "user_id": np.array([-1])}
    found["unseen_platform"] = {**one, "platform": np.array(["television"])}
    found["no_history"] = {k: v[:, :0] if k.startswith("history") else v for k, v in one.items()}
    padding: dict[str, Any] = {"history_item_id": -1, "candidate_item_id": -1, "history_surface": "feed"}

    def pad(name, column):
        return np.insert(column, [0, 1], padding.get(name, 1), axis=1)

    found[PADDED] = {k: pad(k, v) if v.ndim == 2 else v for k, v in one.items()}
    return found


def wrong(one, name, change):
    return {**one, name: np.asarray(change(one[name].copy()), one[name].dtype)}


def put(index, value):
    def change(column):
        column[index] = value
        return column

    return change


WRONG = {  # name -> the input, how it is spoilt, and what the message must say
    "unknown_history": ("history_item_id", lambda x: x + 1000, "history_item_id: id not in the item table"),
    "unknown_candidate": ("candidate_item_id", lambda x: x + 1000, "candidate_item_id: id not in the item table"),
    "repeated_candidate": ("candidate_item_id", lambda x: x * 0 + 107, "candidate_item_id: given twice"),
    "candidates": ("candidate_item_id", lambda x: np.tile(x, 9), "candidate_item_id: more than 40 candidates"),
    "flag": ("history_click", lambda x: x * 0 + 2, "history_click: neither 0, 1 nor -1"),
    "column_length": ("history_play_ms", lambda x: x[:, :1], "history_play_ms: shape is not"),
    "users": ("user_id", lambda x: np.repeat(x, 2), "user_id: not one row for each"),
    "future": ("time_ms", lambda x: x * 0 + 1, "history_timestamp_ms: not before time_ms"),
}


SIZES = {1: 1, 2: 2, 3: 4, 4: 4, 5: 8, 9: 16}  # requests -> what they are filled up to


@pytest.fixture(scope="module")
def answers(exported, requests):
    one = requests["more_than_T"]
    cases = {name: ("strict", request) for name, request in requests.items()}
    cases |= {name: ("strict", wrong(one, column, change)) for name, (column, change, _) in WRONG.items()}
    lenient = wrong(one, "candidate_item_id", put((0, [0, 2]), [5000, one["candidate_item_id"][0, 1]]))
    cases["lenient"] = ("lenient", wrong(lenient, "history_item_id", put((0, 0), 5000)))
    cases["nothing_known"] = ("lenient", wrong(one, "candidate_item_id", lambda x: x + 1000))
    cases["no_candidate"] = ("strict", {**one, "candidate_item_id": one["candidate_item_id"][:, :0]})
    cases["no_request"] = ("strict", {name: column[:0] for name, column in one.items()})
    for number in SIZES:
        cases["requests", number] = ("sizes", {name: np.repeat(column, number, axis=0) for name, column in one.items()})
    names = ("more_than_T", "before_that", "unknown_user")
    cases["batch"] = ("strict", {k: np.concatenate([with_events(requests[n], LENGTH)[k] for n in names]) for k in one})
    return ask(exported[0], {name: (f"{model}/saved_model", request) for name, (model, request) in cases.items()})


def with_events(request, count):
    assert request["history_item_id"].shape[1] == count
    return request


def agrees(answer, ids, probabilities, scores, row=0):
    """The answer's row holds `ids` with these figures, by falling score."""
    order = np.argsort(-scores, kind="stable")
    np.testing.assert_array_equal(answer["order"][row][: len(order)], order)
    np.testing.assert_array_equal(answer["item_id"][row][: len(order)], np.asarray(ids)[order])
    np.testing.assert_allclose(answer["score"][row][: len(order)], scores[order], rtol=1e-4, atol=1e-5)
    for k, task in enumerate(("EVV", "FVV", "GVV")):
        found = answer[f"probability_{task}"][row][: len(order)]
        np.testing.assert_allclose(found, probabilities[order, k], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["earlier_history_only", "more_than_T", "before_that"])
def test_requests_of_the_log_are_answered_as_the_model_does(answers, log, ranker, rates, name):
    agrees(answers[name], np.add(FEW, 99), *expected(log, ranker, rates, positions_of(log)[name], FEW))


def test_many_candidates_are_filled_up_and_cut_off(answers, log, ranker, rates):
    agrees(answers["many"], np.add(MANY, 99), *expected(log, ranker, rates, positions_of(log)["more_than_T"], MANY))


@pytest.mark.parametrize(("name", "unknown"), [("unknown_user", "user"), ("unseen_platform", "platform")])
def test_what_is_not_known_is_row_zero(answers, log, ranker, rates, name, unknown):
    changed = {unknown: np.zeros(1, np.int32)}
    agrees(
        answers[name], np.add(FEW, 99), *expected(log, ranker, rates, positions_of(log)["more_than_T"], FEW, **changed)
    )


def test_a_user_without_history(answers, log, ranker, rates):
    nothing = {name: np.zeros((1, LENGTH), np.int32) for name in ("item", "feedback", "surface")}
    found = expected(
        log, ranker, rates, positions_of(log)["more_than_T"], FEW, **nothing, gap=np.array([-1.0], np.float32)
    )
    agrees(answers["no_history"], np.add(FEW, 99), *found)


def test_padding_changes_nothing_and_comes_last(answers):
    plain, padded = answers["more_than_T"], answers[PADDED]
    for name in ("item_id", "score", "probability_EVV"):
        np.testing.assert_allclose(padded[name][:, : len(FEW)], plain[name], rtol=1e-5)
    np.testing.assert_array_equal(padded["item_id"][:, len(FEW) :], -1)
    np.testing.assert_array_equal(padded["score"][:, len(FEW) :], 0)
    np.testing.assert_array_equal(padded["probability_GVV"][:, len(FEW) :], 0)
    # Columns 0 and 2 are padding now: place 0 is place 1, and every later one two more.
    np.testing.assert_array_equal(padded["order"][:, : len(FEW)], np.where(plain["order"], plain["order"] + 2, 1))


def test_a_batch_answers_each_of_its_rows_as_alone(answers):
    for row, name in enumerate(("more_than_T", "before_that", "unknown_user")):
        for output, values in answers["batch"].items():
            np.testing.assert_allclose(values[row], answers[name][output][0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_requests_name_the_input(answers, name):
    kind, message = answers[name]
    assert kind == "InvalidArgumentError"
    assert WRONG[name][2] in message


@pytest.mark.parametrize("number", SIZES)
def test_requests_are_filled_up_to_sizes_that_are_compiled_once(answers, number):
    score = answers["requests", number]["score"]
    assert score.shape == (number, len(FEW))
    np.testing.assert_allclose(score, 2 * (SIZES[number] + 32 / 1000), rtol=1e-5)


def test_no_request_and_no_candidate_have_answers_too(answers):
    for case, shape in (("no_request", (0, len(FEW))), ("no_candidate", (1, 0))):
        assert {name: values.shape for name, values in answers[case].items()} == {
            **dict.fromkeys(answers["more_than_T"], shape),
            "unknown_ids": shape[:1],
        }


def test_where_nothing_is_left_places_are_empty(answers):
    answer = answers["nothing_known"]
    np.testing.assert_array_equal(answer["item_id"], [[-1] * len(FEW)])
    np.testing.assert_array_equal(answer["score"], [[0.0] * len(FEW)])
    np.testing.assert_array_equal(answer["probability_like"], [[0.0] * len(FEW)])
    np.testing.assert_array_equal(answer["unknown_ids"], [len(FEW)])
    json.dumps({name: values.tolist() for name, values in answer.items()}, allow_nan=False)


def test_unknown_and_repeated_ids_are_let_pass(answers):
    # Of FEW the first is unknown and the third the second again; of the six events the oldest is unknown.
    answer = answers["lenient"]
    left = {1: FEW[1], 3: FEW[3], 4: FEW[4]}
    best_first = sorted(left, key=lambda place: -left[place])
    np.testing.assert_array_equal(answer["order"][0][:3], best_first)
    np.testing.assert_array_equal(answer["item_id"][0], [*(99 + left[place] for place in best_first), -1, -1])
    scores = [2 * (left[place] / 100 + (LENGTH - 1) / 1000) for place in best_first]
    np.testing.assert_allclose(answer["score"][0], [*scores, 0, 0], rtol=1e-5)
    np.testing.assert_array_equal(answer["unknown_ids"], [2])
    np.testing.assert_array_equal(answers["more_than_T"]["unknown_ids"], [0])


def test_ranker_jax_gives_calibrated_probabilities(exported, log, ranker, rates):
    folder, _ = exported
    function = jax.export.deserialize((folder / "strict" / "ranker.jax").read_bytes())
    assert function.platforms == ("cpu", "cuda", "tpu")
    position = positions_of(log)["more_than_T"]
    inputs = inputs_at(log, ranker, rates, position, MANY)
    found = function.call(*(inputs[name] for name in scoring.INPUTS))
    np.testing.assert_allclose(found[0], expected(log, ranker, rates, position, MANY)[0], rtol=1e-4, atol=1e-5)


def test_the_folder_says_what_it_is(exported, log, ranker, rates):
    folder, metrics = exported
    manifest = artifact.open_manifest(folder / "strict", kind="exported_ranker", version=1, flag="--ranker")
    assert manifest["gamma"] == {"EVV": 0.5, "FVV": 0.1, "GVV": -0.4}
    assert manifest["calibration"]["EVV"] == {"slope": 1.5, "bias": 0.3}
    assert manifest["history_feedback"] == ["EVV", "FVV", "GVV", "long_view", "click"]
    assert (manifest["length"], manifest["vocabulary_hash"], manifest["lineage"]) == (LENGTH, "x", {"checkpoint": 7})
    assert manifest["inputs"] == list(scoring.INPUTS)
    np.testing.assert_array_equal(np.load(folder / "strict" / "rates.npy"), rates)
    np.testing.assert_array_equal(np.load(folder / "strict" / "thresholds.npy"), ranker.statistics.thresholds)
    assert pl.read_parquet(folder / "strict" / "item_table.parquet").row(1) == (1, 100)
    assert pl.read_parquet(folder / "strict" / "user_table.parquet").row(0) == (1, 0)
    assert metrics.keys() == {"p50_ms", "p99_ms", "candidates"}
    assert metrics["candidates"] == NUM_ITEMS
    assert (folder / "strict" / "saved_model" / "assets.extra" / "tf_serving_warmup_requests").stat().st_size > 0


@pytest.mark.parametrize("surfaces", [(), (1, 2), (-1, 3), (-7, -1), ("feed", "-1")])
def test_what_stands_for_an_unknown_surface_is_none_that_there_is(surfaces):
    assert unknown_surface(surfaces) not in surfaces


def test_sizes_that_are_compiled():
    from ranking.export.saved_model import sizes

    assert sizes(1000) == [32, 64, 128, 256, 512, 1000]
    assert sizes(512) == [32, 64, 128, 256, 512]
    assert sizes(33) == [32, 33]
    assert sizes(32) == [32]
    assert sizes(5) == [5]


@pytest.fixture
def run(log, ranker, tmp_path, monkeypatch):
    """Exports to tmp_path/out, from a training run that stands in for one, and returns the last line."""
    monkeypatch.setattr(checkpoint, "load", lambda path, timelines: ranker)

    def export(gamma=("EVV=1", "GVV=-1"), evaluation=None, **options):
        return exporting.export(
            Options(**options),
            data=str(log.path),
            trained=str(tmp_path / "train"),
            workdir=str(tmp_path / "out"),
            gamma=gamma,
            evaluation=evaluation,
            with_serving=False,
        )

    return export


def test_running_again_says_complete_and_mends_what_is_damaged(run, tmp_path, capsys):
    folder = tmp_path / "out" / "ranker"
    assert run() == f"ranker: {folder}"
    assert not (folder / "saved_model").exists()
    assert run() == f"complete already: {folder}"
    (folder / "rates.npy").write_bytes(b"")
    assert run() == f"ranker: {folder}"
    assert "rates.npy: 0 bytes" in capsys.readouterr().out
    with pytest.raises(UsageError, match="another config or dataset"):
        run(gamma=("EVV=1",))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gamma": ()}, "--evaluation is required, .*; or give --gamma"),
        ({"gamma": ("like=1",)}, "--gamma=like: the model has no such task; it has EVV, FVV, GVV"),
        ({"evaluation": "nowhere"}, "--evaluation=nowhere: no complete measurement here; run ranking.evaluate"),
        ({"max_candidates": 0}, "--max_candidates=0: at least 1"),
        ({"warmup_batch_sizes": (1, 0)}, r"--warmup_batch_sizes=\(1, 0\): each at least 1"),
    ],
)
def test_mistakes_are_named(run, options, message):
    with pytest.raises(UsageError, match=message):
        run(**options)


def measured(folder, run):
    (folder).mkdir()
    calibrator = {"calibrator": {"slope": 2.0, "bias": -1.0}}
    files = {
        "metrics": {},
        "curves": {"run": run, "gamma": {"model": {"EVV": 0.75, "FVV": 0.0, "GVV": -0.25}}},
        "reliability": {"model": dict.fromkeys(("EVV", "FVV", "GVV"), calibrator)},
    }
    for name, value in files.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    return str(folder)


def test_the_choice_is_the_evaluations_unless_by_hand(ranker, tmp_path):
    own = measured(tmp_path / "own", ranker.run)
    chosen = choose((), own, ranker)
    np.testing.assert_array_equal(chosen.weights, [0.75, 0.0, -0.25])
    assert chosen.calibrators == (Calibrator(2.0, -1.0),) * 3
    by_hand = choose(("GVV=-2",), own, ranker)
    np.testing.assert_array_equal(by_hand.weights, [0.0, 0.0, -1.0])
    assert by_hand.calibrators == chosen.calibrators
    assert choose(("EVV=1",), None, ranker).calibrators == (IDENTITY,) * 3


def test_an_evaluation_of_another_model_is_refused(ranker, tmp_path):
    with pytest.raises(UsageError, match="measured another model than --checkpoint; give its own"):
        choose((), measured(tmp_path / "other", "another run"), ranker)
