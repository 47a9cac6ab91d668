import json
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import numpy as np
import polars as pl
import pytest

from data import scored
from data import timelines as timelines_lib
from data.events_read import Reading
from data.feedback import mask_of
from data.timelines import Timelines
from metrics import ranking
from retrieval import compiled_ranks, full_corpus, measurement, simple_rules
from retrieval.queries import NEXT_ITEM, asked
from runtime.artifact import digest
from runtime.errors import DataError, UsageError
from tests.logs import random_timelines

N = 120
DAY = 86_400_000
VALID, TEST, END = 10 * DAY, 11 * DAY, 12 * DAY
CLICK, SKIP, DISLIKE = (mask_of([name]) for name in ("click", "skip", "dislike"))

# (item, day, feedback) of each user, in order of time; day 10 is validation, day 11 is test.
LOG = [
    # Clicks 5 and 6 and skips 7; 1 was met before, so its click is no target; 5 twice is one target.
    [
        (1, 1, CLICK),
        (2, 9, CLICK),
        (3, 10, CLICK),
        (5, 11, CLICK),
        (1, 11, CLICK),
        (6, 11, CLICK),
        (5, 11, CLICK),
        (7, 11, SKIP),
    ],
    # Clicks 3 and dislikes 4.
    [(1, 8, CLICK), (2, 9, 0), (3, 11, CLICK), (4, 11, DISLIKE)],
    # Skips only: counts for skip@100 and nothing else.
    [(2, 9, CLICK), (8, 11, SKIP), (9, 11, SKIP)],
    # Nothing held out on the test day.
    [(1, 2, CLICK), (4, 10, CLICK)],
    # No history at all; clicks 8, and opens and leaves 10: a click and a skip.
    [(8, 11, CLICK), (10, 11, CLICK | SKIP)],
]
POSITIVES = {0: {5, 6}, 1: {3}, 4: {8, 10}}
SKIPS = {0: {7}, 2: {8, 9}, 4: {10}}
DISLIKES = {1: {4}}
MET = {0: {1, 2, 3}, 1: {1, 2}, 2: {2}, 3: {1, 4}, 4: set()}


def write_timelines(folder, log, num_items=N):
    events = [event for user in log for event in user]
    lengths = [len(user) for user in log]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    day = np.array([event[1] for event in events])
    starts = {
        name: offsets[:-1] + [sum(event[1] < first for event in user) for user in log]
        for name, first in (("valid_start", 10), ("test_start", 11))
    }
    constant = {name: np.full(len(events), -1) for name in ("play_ms", "duration_ms", "questionnaire_answer")}
    constant |= {name: np.zeros(len(events)) for name in ("surface", "randomly_exposed", "questionnaire_shown")}
    items = pl.DataFrame(
        {
            "item_id": [None, *range(1000, 1000 + num_items)],
            "cluster": [0] + [1 + n % 4 for n in range(num_items)],
            "train_count": [0] * (num_items + 1),
        }
    )
    timelines_lib.write(
        folder,
        arrays={
            "item": np.array([event[0] for event in events]),
            "timestamp_ms": day * DAY + np.arange(len(events)),
            "feedback": np.array([event[2] for event in events]),
            "dwell": np.ones(len(events)),
            "offsets": offsets,
            **starts,
            **constant,
        },
        items=items,
        users=pl.DataFrame({"user_id": range(len(log))}),
        fields={"vocabulary_hash": "x", "valid_start_ms": VALID, "test_start_ms": TEST, "end_ms": END},
    )
    return Timelines.open(folder)


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return write_timelines(tmp_path_factory.mktemp("log") / "timelines", LOG)


def scorer(top, bottom=None):
    """Ranks the items of `top[user]` above all others, those of `bottom[user]` below; items otherwise by index."""

    def score(moments):
        scores = np.tile(-np.arange(N + 1) / (N + 1), (len(moments.user), 1))
        for row, user in enumerate(moments.user):
            scores[row, sorted(top.get(user, ()))] += 10
            scores[row, sorted((bottom or {}).get(user, ()))] -= 10
        return scores

    return score


def measured(score, log, *, split="test", positive=("click",), label="evaluate"):
    queries = asked(log, split=split, positive=positive)
    return full_corpus.evaluate(dict.fromkeys(queries, score), queries, log, label=label)


def test_a_perfect_scorer_finds_everything(log):
    metrics, per_user = measured(scorer(POSITIVES, {0: {7}, 2: {8, 9}, 1: {4}}), log, split="test")
    for name in ("recall@10", "recall@50", "recall@100", "ndcg@10", "ndcg@100", "mrr"):
        assert metrics[name] == metrics[f"{name}/low"] == metrics[f"{name}/high"] == pytest.approx(1.0)
    assert metrics["dislike@100"] == 0.0
    assert metrics["skip@100"] == 1 / 4  # only 10, which user 4 clicked too
    assert (metrics["users"], metrics["targets"], metrics["skips"], metrics["dislikes"]) == (4, 5, 4, 1)
    np.testing.assert_array_equal(per_user["user"], [0, 1, 2, 4])
    np.testing.assert_array_equal(per_user["targets"], [2, 1, 0, 2])
    np.testing.assert_array_equal(per_user["recall@100"], [1, 1, np.nan, 1])
    np.testing.assert_array_equal(per_user["skip@100"], [0, np.nan, 0, 1])
    np.testing.assert_array_equal(per_user["skips"], [1, 0, 2, 1])
    np.testing.assert_array_equal(per_user["dislike@100"], [np.nan, 0, np.nan, np.nan])


def test_an_adversary_finds_nothing_and_shows_what_is_unwanted(log):
    metrics, _ = measured(scorer({0: {7}, 1: {4}, 2: {8, 9}}, POSITIVES), log, split="test")
    for name in ("recall@10", "recall@50", "recall@100", "ndcg@10", "ndcg@100"):
        assert metrics[name] == 0.0
    # Last of what is left of 120 items: users 0, 1 and 4 have met 3, 2 and 0 of them.
    assert metrics["mrr"] == pytest.approx((1 / (117 - 1) + 1 / 118 + 1 / (120 - 1)) / 3)
    assert metrics["dislike@100"] == 1.0
    assert metrics["skip@100"] == 3 / 4


def test_the_next_liked_item_is_found_and_the_next_disliked_is_not(log):
    noes = {0: {7}, 1: {4}, 2: {8, 9}}
    best, _ = measured(scorer(POSITIVES, noes), log)
    assert (best["next_item/recall@10"], best["next_item/dislike@10"], best["next_item/delta_hr@10"]) == (1, 0, 1)
    worst, _ = measured(scorer(noes, POSITIVES), log)
    assert (worst["next_item/recall@10"], worst["next_item/dislike@10"], worst["next_item/delta_hr@10"]) == (0, 1, -1)
    # Half of the users who like something, and nobody who dislikes: 3 of the 5 liked items are of users 0 and 1.
    half, _ = measured(scorer({0: {5, 6}, 1: {3}}, noes | {4: {8, 10}}), log)
    assert half["next_item/delta_hr@10"] == half["next_item/recall@10"] == pytest.approx(3 / 5)
    assert half["next_item/delta_hr@10/low"] < 3 / 5 < half["next_item/delta_hr@10/high"]
    without, _ = measured(scorer(POSITIVES), log, split="valid")
    assert "next_item/recall@10" in without
    assert "next_item/delta_hr@10" not in without  # nobody dislikes anything on the validation day


def test_constant_scores_have_the_figures_of_chance(log):
    metrics, _ = measured(lambda moments: np.zeros((len(moments.user), N + 1)), log, split="test")
    # Users 0, 1 and 4 have met 3, 2 and 0 of 120 items; skips are of users 0, 2 (twice) and 4.
    for k in (10, 50, 100):
        assert metrics[f"recall@{k}"] == pytest.approx((k / 117 + k / 118 + k / 120) / 3)
    assert metrics["skip@100"] == pytest.approx((100 / 117 + 2 * 100 / 119 + 100 / 120) / 4)
    assert metrics["dislike@100"] == pytest.approx(100 / 118)


def test_what_was_met_takes_no_place(log):
    # Best scores for all that the users have met: still the targets come first.
    ahead = {user: POSITIVES.get(user, set()) for user in MET}

    def score(moments):
        scores = scorer(ahead)(moments)
        for row, user in enumerate(moments.user):
            scores[row, [0, *sorted(MET[user])]] = 1e6
        return scores

    metrics, _ = measured(score, log, split="test")
    assert metrics["mrr"] == metrics["ndcg@10"] == pytest.approx(1.0)


def test_coverage_and_diversity_by_hand(log):
    # In the order of the index: each of 4 users gets the first 100 items that he has not met, so user 0, who met 1, 2
    # and 3, gets 4..103, user 4, who met none, 1..100.
    metrics, per_user = measured(scorer({}), log, split="test")
    assert metrics["coverage@100"] == pytest.approx(103 / N)
    np.testing.assert_array_equal(per_user["distinct_clusters@100"], [4, 4, 4, 4])
    assert per_user["cluster_entropy@100"][3] == pytest.approx(np.log(4))  # 25 items of each of 4 clusters


def test_the_figures_are_those_of_brute_force(log, monkeypatch):
    monkeypatch.setattr(scored, "_HELD", 2 * (N + 1))  # two users at a time
    table = np.random.default_rng(0).normal(size=(len(LOG), N + 1)).astype(np.float32)
    metrics, _ = measured(lambda moments: table[moments.user], log, split="test")
    recall, ndcg, mrr = [], [], []
    places = {}
    for user in (0, 1, 2, 4):
        order = sorted(set(range(1, N + 1)) - MET[user], key=lambda item: -float(table[user, item]))
        places[user] = {item: 1 + place for place, item in enumerate(order)}
        if user in POSITIVES:
            mine = [places[user][item] for item in POSITIVES[user]]
            recall.append(sum(rank <= 50 for rank in mine) / len(mine))
            gain = sum(1 / np.log2(1 + rank) for rank in mine if rank <= 100)
            ndcg.append(gain / sum(1 / np.log2(2 + place) for place in range(len(mine))))
            mrr.append(1 / min(mine))
    assert metrics["recall@50"] == pytest.approx(np.mean(recall))
    assert metrics["ndcg@100"] == pytest.approx(np.mean(ndcg))
    assert metrics["mrr"] == pytest.approx(np.mean(mrr))
    shown = [places[user][item] <= 100 for user, items in SKIPS.items() for item in items]
    assert metrics["skip@100"] == pytest.approx(np.mean(shown))


def test_the_validation_split_has_its_own_history(log):
    metrics, per_user = measured(scorer({0: {3}, 3: {4}}), log, split="valid")
    assert metrics["mrr"] == 1.0
    np.testing.assert_array_equal(per_user["user"], [0, 3])
    assert "skip@100" not in metrics  # no skip on the validation day
    assert "dislike@100" not in metrics
    assert json.loads(json.dumps(metrics, allow_nan=False)) == metrics


def test_positives_are_what_the_caller_says(log):
    metrics, _ = measured(scorer(SKIPS), log, split="test", positive=("skip", "dislike"))
    assert metrics["targets"] == 5
    assert metrics["recall@10"] == pytest.approx((1 + 1 + 1 + 1) / 4)  # item 4 of user 1 is high by its index


def test_compare_is_paired_and_relative(log):
    everything = measured(scorer(POSITIVES), log, split="test").per_user
    half = measured(scorer({1: {3}, 4: {10}}, {0: {5, 6}, 4: {8}}), log, split="test").per_user
    changes = full_corpus.compare(everything, half)
    assert changes["recall@100"].value == pytest.approx((0 + 1 + 1 / 2) / 3 - 1)
    # Users lose all, nothing, a half: a resample of user 0 alone has −1, of user 1 alone 0.
    assert changes["recall@100"].low == -1.0
    assert changes["recall@100"].high == 0.0
    assert full_corpus.compare(everything, everything)["recall@100"] == (0, 0, 0)
    valid = measured(scorer(POSITIVES), log, split="valid").per_user
    with pytest.raises(ValueError, match="different users"):
        full_corpus.compare(everything, valid)


def test_what_is_uploaded_after_the_moment_is_no_target_and_no_candidate(log):
    # 6, which user 0 clicks, and 7, skipped, come later; with them all but the last 40 of what nobody wants.
    late = [6, 7, *range(11, 81)]
    growing = random_timelines.uploaded_late(log, late, "test")
    found = measured(scorer({0: {5}, 1: {3}}), growing).metrics
    assert (found["targets"], found["skips"], found["targets/uploaded_later"]) == (4, 3, 1)
    assert "targets/uploaded_later" not in measured(scorer({}), log).metrics
    # What scores above all that is there is in nobody's way: user 0 finds 5 first, user 1 finds 3 first.
    ahead = measured(scorer({0: {5, *late}, 1: {3, *late}}), growing).metrics
    of_days = [name for name in found if not name.startswith(NEXT_ITEM)]
    assert {name: ahead[name] for name in of_days} == {name: found[name] for name in of_days}
    assert found["mrr"] == pytest.approx((1 + 1 + 1 / 6) / 3)  # 8 stands behind 1 to 5
    # Just before its click an item is there, whatever the day has begun with.
    assert found["next_item/targets"] == 5


def test_who_likes_only_what_is_uploaded_later_is_asked_for_the_next_item_alone(log):
    late = [*range(3, 11)]  # all that anybody reacts to on the test day
    growing = random_timelines.uploaded_late(log, [item for item in late if item != 6], "test")
    found = measured(scorer(POSITIVES), growing)
    assert (found.metrics["targets"], found.metrics["recall@100"]) == (1, 1)  # item 6 of user 0
    assert found.metrics["next_item/targets"] == 5
    assert found.metrics["next_item/users"] == found.metrics["users"] == 4
    np.testing.assert_array_equal(found.per_user["recall@100"], [1, np.nan, np.nan, np.nan])
    everything = random_timelines.uploaded_late(log, late, "test")
    with pytest.raises(DataError, match=r"every click of an unmet item in the test split \(5\) is of an item uploaded"):
        asked(everything, split="test", positive=("click",))


def test_of_some_users_their_own_later_items_are_told(log):
    growing = random_timelines.uploaded_late(log, [5, 8], "test")
    for users, later in ((5, 2), (2, 1)):
        some = asked(growing, split="test", positive=("click",), users=users)
        found = full_corpus.evaluate(dict.fromkeys(some, scorer({})), some, log).metrics
        assert found["targets/uploaded_later"] == some[""].uploaded_later.sum() == later


def test_figures_of_some_users_say_of_how_many(log):
    some = asked(log, split="test", positive=("click",), users=2)
    found = full_corpus.evaluate(dict.fromkeys(some, scorer(POSITIVES)), some, log).metrics
    assert (found["users"], found["users/drawn_from"]) == (2, 4)
    assert "users/drawn_from" not in measured(scorer(POSITIVES), log).metrics


def test_what_is_found_for_those_who_had_said_no(log, tmp_path):
    # Users 0 and 2 have disliked something before the test day, user 1 on it, user 3 never; 2 likes nothing then.
    noes = [
        [(1, 8, DISLIKE), (2, 9, CLICK), (3, 11, CLICK), (4, 11, CLICK)],
        [(1, 9, CLICK), (5, 11, CLICK), (6, 11, DISLIKE)],
        [(1, 9, DISLIKE), (7, 11, SKIP)],
        [(1, 9, CLICK), (8, 11, CLICK)],
    ]
    metrics, per_user = measured(scorer({0: {3}, 1: {5}, 3: {8}}, {0: {4}}), write_timelines(tmp_path / "noes", noes))
    assert metrics["users/said_no"] == 1
    assert metrics["recall@100/said_no"] == 1 / 2
    assert metrics["recall@100"] == pytest.approx((1 / 2 + 1 + 1) / 3)
    np.testing.assert_array_equal(per_user["recall@100/said_no"], [1 / 2, np.nan, np.nan, np.nan])
    assert not any("said_no" in name for name in measured(scorer(POSITIVES), log).metrics)  # nobody had by then


def test_the_model_scores_by_its_last_events(log):
    vectors = np.random.default_rng(1).normal(size=(N + 1, 3)).astype(np.float32)

    def encode(inputs):  # the sum of the item vectors of the history
        return (vectors[inputs["item"]] * (inputs["item"] > 0)[..., None]).sum(axis=1)

    score = full_corpus.ModelScorer(encode, vectors, log, reading=Reading(2))
    moments = asked(log, split="test", positive=("click",))[""].moments
    assert list(moments.user) == [0, 1, 2, 4]
    np.testing.assert_allclose(score(moments.rows(slice(0, 3))), score(moments)[:3], rtol=1e-5)  # three as four
    np.testing.assert_allclose(
        score(moments.rows(np.array([0, 3]))), [(vectors[2] + vectors[3]) @ vectors.T, np.zeros(N + 1)], rtol=1e-5
    )


@pytest.mark.parametrize("held", [1 << 26, 2 * (N + 1)])  # all queries at once, or two and then what is left
@pytest.mark.parametrize("late", [[], [6, 7, *range(20, 50)]])
def test_a_compiled_model_has_the_same_figures(log, monkeypatch, held, late):
    """As on an accelerator. Vectors of few whole numbers: products are exact, and many items tie."""
    monkeypatch.setattr(compiled_ranks, "_HELD", held)
    log = random_timelines.uploaded_late(log, late, "test")
    vectors = np.random.default_rng(1).integers(-1, 2, size=(N + 1, 3)).astype(np.float32)
    vectors[0] = 9  # padding is never shown

    def encode(inputs):
        return (vectors[inputs["item"]] * (inputs["item"] > 0)[..., None]).sum(axis=1)

    def figures(compiled):
        score = full_corpus.ModelScorer(encode, vectors, log, reading=Reading(2), compiled=compiled)
        return measured(score, log, split="test")

    expected, found = figures(False), figures(True)
    assert found.metrics == expected.metrics
    for name, values in expected.per_user.items():
        np.testing.assert_array_equal(found.per_user[name], values)


def test_a_compiled_model_that_has_diverged_is_named(log):
    vectors = np.full((N + 1, 3), np.nan, np.float32)
    score = full_corpus.ModelScorer(
        lambda inputs: np.ones((len(inputs["item"]), 3)), vectors, log, reading=Reading(2), compiled=True
    )
    with pytest.raises(DataError, match="gru: a score is not finite"):
        measured(score, log, split="test", label="gru")


def test_bad_logs_and_models_are_named(log, tmp_path):
    with pytest.raises(DataError, match=r"model: a score is not finite"):
        measured(lambda moments: np.full((len(moments.user), N + 1), np.nan), log, split="test", label="model")
    with pytest.raises(ValueError, match=r"scores \(4, 7\)"):
        measured(lambda moments: np.zeros((len(moments.user), 7)), log, split="test")
    with pytest.raises(DataError, match="no like of an unmet item in the test split"):
        measured(scorer({}), log, split="test", positive=("like",))
    small = write_timelines(tmp_path / "small", LOG, num_items=100)
    with pytest.raises(DataError, match="100 items; the top 100"):
        measured(scorer({}), small, split="test")
    one_user = write_timelines(tmp_path / "one", LOG[:1])
    metrics, _ = measured(scorer(POSITIVES), one_user, split="test")
    assert metrics["recall@10"] == metrics["recall@10/low"] == metrics["recall@10/high"] == 1.0


class Retriever:
    """As retrieval.checkpoint.load gives it: here a model that always asks for item 5."""

    reading = Reading(4)
    weights: ClassVar = {"item_vectors": np.eye(N + 1, 8, dtype=np.float32)}

    def item_vectors(self):
        return np.eye(N + 1, 8, dtype=np.float32)

    def encode(self, inputs):
        return np.tile(np.eye(8, dtype=np.float32)[5], (len(inputs["item"]), 1))


def run_binary(log, workdir, monkeypatch, **changed):
    monkeypatch.setattr(measurement, "load", lambda path, timelines, until: Retriever())
    options = {"positive": ("click",), "split": "test", "with_baselines": True, "users": 100, "events": 100}
    options |= {"checkpoint": "trained", **changed}
    measurement.run(data=str(log.path), workdir=str(workdir), **options)


def test_the_binary_writes_its_figures_and_keeps_them(log, tmp_path, monkeypatch, capsys):
    run_binary(log, tmp_path / "w", monkeypatch)
    printed = capsys.readouterr().out.splitlines()
    assert printed[-1].endswith(f"4 users, split test: {tmp_path / 'w' / 'metrics.json'}")
    metrics = json.loads((tmp_path / "w" / "metrics.json").read_text())
    for prefix in ("", "popularity_1d/", "popularity_7d/", "item_knn/", "item_knn_popularity/", "counts/"):
        for name in ("recall@10", "recall@50", "recall@100", "ndcg@10", "ndcg@100", "mrr", "skip@100", "dislike@100"):
            assert metrics[f"{prefix}{name}/low"] <= metrics[prefix + name] <= metrics[f"{prefix}{name}/high"]
    # Item 5, user 0's, is first, and all else ties: item 6 with 116 unmet others, 3 of user 1, 8 and 10 of user 4.
    assert metrics["recall@10"] == pytest.approx(((1 + 9 / 116) / 2 + 9 / 117 + 9 / 119) / 3)
    for name in ("recall@10", "next_item/recall@100"):
        best, value = max(((rule, metrics[f"{rule}/{name}"]) for rule in simple_rules.RULES), key=lambda pair: pair[1])
        change = metrics[f"ahead/{name}"]
        assert change == pytest.approx(metrics[name] / value - 1)
        assert metrics[f"ahead/{name}/low"] <= change <= metrics[f"ahead/{name}/high"]
        assert (
            sum(f"{name.removeprefix('next_item/')} against {best}: {change:+.1%} [" in line for line in printed) == 1
        )
    with np.load(tmp_path / "w" / "per_user.npz") as arrays:
        assert np.nanmean(arrays["recall@100"]) == pytest.approx(metrics["recall@100"])
        assert np.nansum(arrays["skip@100"]) / arrays["skips"].sum() == metrics["skip@100"]

    run_binary(log, tmp_path / "w", monkeypatch)
    assert "complete already" in capsys.readouterr().out
    with pytest.raises(UsageError, match="another config or dataset"):
        run_binary(log, tmp_path / "w", monkeypatch, split="valid")


def test_a_model_that_only_asks_otherwise_is_another(log, tmp_path, monkeypatch):
    """As one whose towers weigh less, or whose noes weigh more: its item vectors are the same."""
    run = tmp_path / "run"
    run.mkdir()
    for noes_weight in (30.0, 0.0):
        (run / "config.json").write_text(json.dumps({"covisitation_noes_weight": noes_weight}))
        if noes_weight:
            run_binary(log, tmp_path / "w", monkeypatch, checkpoint=str(run))
    with pytest.raises(UsageError, match="another config or dataset"):
        run_binary(log, tmp_path / "w", monkeypatch, checkpoint=str(run))
    asks = {**Retriever.weights, "weights/gru": np.ones(3)}
    monkeypatch.setattr(Retriever, "weights", asks)
    with pytest.raises(UsageError, match="another config or dataset"):
        run_binary(log, tmp_path / "w", monkeypatch, checkpoint=str(run))


def test_an_evaluation_says_of_which_training_it_is(log, tmp_path, monkeypatch):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "metrics.json").write_text('{"seconds": 1}')
    run_binary(log, tmp_path / "w", monkeypatch, checkpoint=str(tmp_path / "run"))
    said = json.loads((tmp_path / "w" / "model.json").read_text())
    assert said == {"checkpoint": digest(tmp_path / "run" / "metrics.json")}  # as an export's lineage
    # Trained once more it has taken another time, and is the same model.
    (tmp_path / "run" / "metrics.json").write_text('{"seconds": 2}')
    run_binary(log, tmp_path / "w", monkeypatch, checkpoint=str(tmp_path / "run"))


def test_the_binary_measures_the_model_alone_on_demand(log, tmp_path, monkeypatch):
    run_binary(log, tmp_path / "w", monkeypatch, with_baselines=False)
    assert not any(name.startswith("item_knn") for name in json.loads((tmp_path / "w" / "metrics.json").read_text()))


def test_the_binary_names_bad_flags(log, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match=r"--config.positive=\('clicks',\): only click, "):
        run_binary(log, tmp_path / "w", monkeypatch, positive=("clicks",))
    assert not (tmp_path / "w").exists()
    root = Path(__file__).resolve().parent.parent.parent
    command = [sys.executable, "-m", "retrieval.evaluate", f"--data={log.path}"]
    failed = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert failed.returncode == 2
    assert failed.stderr == "retrieval.evaluate: --checkpoint is required: the workdir of retrieval.train; see --help\n"


def test_ranks_are_of_the_same_order_as_the_slate(log):
    table = np.random.default_rng(3).normal(size=(len(LOG), N + 1))
    slate = ranking.top_k(table, 100)
    places = ranking.target_places(table, slate)
    np.testing.assert_array_equal(places[..., 0], np.tile(np.arange(1, 101), (len(LOG), 1)))
    np.testing.assert_array_equal(places[..., 1], 1)
