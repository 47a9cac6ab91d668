"""The steps of satisfaction.train and satisfaction.score on a small log: frozen, resumed, refused."""

import json
import shutil

import numpy as np
import polars as pl
import pytest

from configs import retrieval as retrieval_configs
from configs.satisfaction import get_config
from data import feedback, timelines
from data.timelines import Timelines
from retrieval import checkpoint
from retrieval import run as retrieval_training
from retrieval.export import folder as exporting
from runtime.artifact import write_json
from runtime.errors import DataError, UsageError
from satisfaction import run as training
from satisfaction.saqrec import alignment, base
from satisfaction.saqrec.embeddings import BaseEmbeddings
from satisfaction.splits import in_training, is_click
from satisfaction.unbiased import imputed, predictions, satisfaction_model
from satisfaction.unbiased.answers import answers
from satisfaction.unbiased.fitting import Fitted, mean_of
from satisfaction.unbiased.steps import Imputation
from tests.logs import random_timelines
from training.names import named_leaves

STEPS = ("base", "propensity", "satisfaction")


def write(folder, *, answered=0.5, satisfied=0.6, reactions=True, clicks=True, vocabulary_hash="x"):
    """60 users and 20 items; questionnaires are answered, and satisfying, with these probabilities."""
    log = random_timelines.write(folder, lengths=np.full(60, 20), seed=1, vocabulary_hash=vocabulary_hash)
    arrays = {name: np.array(getattr(log, name)) for name in (*timelines.EVENT_DTYPES, *timelines.USER_DTYPES)}
    arrays["timestamp_ms"] += 1  # 0 is earlier history
    rng = np.random.default_rng(0)
    says = np.where(rng.random(len(log.item)) < satisfied, 1, 0)
    arrays["questionnaire_answer"] = np.where(rng.random(len(says)) < answered, says, -1)
    if not reactions:
        arrays["feedback"] &= ~np.uint16(feedback.mask_of(("like", "dislike")))
    if not clicks:
        arrays["feedback"] &= ~np.uint16(feedback.mask_of(("click", "long_view")))
    names = ("vocabulary_hash", "item_features", "feedback", "valid_start_ms", "test_start_ms", "end_ms")
    fields = {name: log.manifest[name] for name in names}
    if not reactions:
        fields["feedback"] = [name for name in fields["feedback"] if name not in ("like", "dislike")]
    items = log.items.with_columns(creator_id="creator", cluster_id="cluster")
    timelines.write(folder, arrays=arrays, items=items, users=log.users, fields=fields)
    return Timelines.open(folder)


def config_of(**options):
    config = get_config("tiny")
    config.base.update({"dim": 6, "hidden": 7, "length": 16, "batch_size": 4, "num_epochs": 1})
    for step in (config.propensity, config.satisfaction, config.doubly_robust):
        step.update({"num_steps": 6, "eval_every": 3, "batch_size": 64})
    for name, value in options.items():
        config[name].update(value) if isinstance(value, dict) else config.update({name: value})
    return config


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return write(tmp_path_factory.mktemp("log") / "timelines")


def run(log, folder, *, only="", **options):
    return training.train(config_of(**options), data=str(log.path), workdir=str(folder), only=only)


@pytest.fixture(scope="module")
def trained(log, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "workdir"
    for step in STEPS:
        assert run(log, folder, only=step) == f"step {step} done: {folder / step}"
    return folder


def with_steps(trained, folder, *steps):
    """A workdir in which these steps are done: another run's, to save the time."""
    for name in (*steps, "base_embeddings"):
        shutil.copytree(trained / name, folder / name)
    return folder


def imputation(log, trained, **options):
    base = BaseEmbeddings.open(trained / "base_embeddings", log, "--w")
    return Imputation(config_of(**options), log, base, trained)


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.npy")}


def test_scores_are_probabilities_of_every_event(log, trained) -> None:
    found = imputed.open_scores(trained / "scores", log, "--scores")
    assert found.satisfaction.shape == found.propensity.shape == log.item.shape
    assert found.satisfaction.dtype == np.float32
    assert found.satisfaction.min() > 0
    assert found.satisfaction.max() < 1
    assert found.satisfaction.std() > 1e-4  # no constant
    assert (found.manifest["method"], found.manifest["clip"], found.manifest["protocol"]) == ("ips", 0.01, "time")
    in_training = log.in_split("train")
    share = (answers(log, "questionnaire")[in_training] >= 0).mean()
    # Few answers a bin: the calibration makes propensities add up all the same.
    np.testing.assert_allclose(found.propensity[in_training].mean(), share, rtol=1e-5)


def test_the_reliability_and_metrics_are_written(trained) -> None:
    diagram = json.loads((trained / "propensity" / "reliability.json").read_text())
    assert set(diagram) == {"examples", "predicted", "observed"}
    metrics = json.loads((trained / "propensity" / "metrics.json").read_text())
    assert {"auc", "ece", "logloss", "answered", "valid/loss", "examples_per_second"} <= set(metrics)


def test_frozen_means_frozen_and_the_same_command_gives_the_same_scores(log, trained, tmp_path) -> None:
    run(log, tmp_path, only="base")
    before = content(tmp_path / "base_embeddings")
    for step in STEPS[1:]:
        run(log, tmp_path, only=step)
    assert content(tmp_path / "base_embeddings") == before == content(trained / "base_embeddings")
    assert content(tmp_path / "scores") == content(trained / "scores")


def test_parameters_hold_no_embeddings(log, trained) -> None:
    from satisfaction.unbiased.fitting import pair_model

    features = imputation(log, trained).features
    shapes = pair_model(config_of().satisfaction, features, 0.0).shapes
    sizes = {name: leaf.shape for name, leaf in named_leaves(shapes).items()}
    width, hidden = 2 + features.num_attributes, config_of().satisfaction.hidden
    assert sorted(sizes.values()) == sorted([(), (), (width,), (width, hidden), (hidden,), (hidden, 1), (1,)])


def test_only_the_propensity_model_reads_who_is_asked(log, trained) -> None:
    plain, asking = imputation(log, trained).features, imputation(log, trained).propensity_features
    same = imputation(log, trained, propensity={"asking_rates": False}).propensity_features
    # Shown and answered, a rate and a count of each: of the user, of the item, of the user and the item's cluster.
    assert asking.num_attributes == plain.num_attributes + 2 * 2 * 3
    np.testing.assert_array_equal(same.event_attributes, plain.event_attributes)
    user, item = (np.asarray(part, np.int64) for part in (log.user_of_event(), log.item))
    held = np.flatnonzero(~in_training(log, "time"))[:5]  # whose rates are those of the pair
    rows, pairs = asking.events(held), asking.pairs(user[held], item[held])
    assert set(rows) == set(pairs)
    for name, row in rows.items():
        np.testing.assert_array_equal(row, pairs[name])


def test_a_model_of_several_members_is_their_mean() -> None:
    first, second = (Fitted(lambda rows, z=z: z * rows["user"][:, 0]) for z in (1.0, 3.0))
    found = mean_of([first, second]).logits({"user": np.array([[1.0], [-2.0]])})
    np.testing.assert_allclose(found, [2.0, -4.0])


def test_a_step_that_was_cut_short_goes_on_to_the_same_end(log, trained, tmp_path) -> None:
    folder = with_steps(trained, tmp_path / "workdir", "base", "propensity")
    calls = []
    fit = satisfaction_model.fit

    def cut(*arguments, **options):
        calls.append(fit(*arguments, **options))
        raise KeyboardInterrupt  # after the last checkpoint, before anything says that the step is done

    satisfaction_model.fit = cut
    try:
        with pytest.raises(KeyboardInterrupt):
            run(log, folder, only="satisfaction")
    finally:
        satisfaction_model.fit = fit
    assert len(calls) == 1
    assert not (folder / "satisfaction" / "metrics.json").exists()
    assert not (folder / "scores").exists()
    run(log, folder, only="satisfaction")
    assert content(folder / "scores") == content(trained / "scores")


def test_all_steps_in_order_and_nothing_twice(log, trained, monkeypatch) -> None:
    seen = []

    def aligned(config, timelines, base, found, folder):
        assert isinstance(base, BaseEmbeddings)
        assert isinstance(found, imputed.Scores)
        seen.append(folder)
        write_json(folder / "metrics.json", {"valid/mrr": 0.5})
        return "aligned"

    monkeypatch.setattr(alignment, "train_alignment", aligned)
    assert run(log, trained) == f"trained base, propensity, satisfaction, align: {trained}"
    metrics = json.loads((trained / "metrics.json").read_text())
    assert metrics["align/valid/mrr"] == 0.5
    assert {"base/valid/mrr", "propensity/auc", "satisfaction/auc"} <= set(metrics)
    assert run(log, trained).startswith("already complete: ")
    assert run(log, trained, only="satisfaction") == f"already complete: {trained / 'satisfaction'}"
    assert run(log, trained, cpu_devices=2).startswith("already complete: ")  # the same run on other devices
    assert seen == [trained / "align"]


@pytest.mark.parametrize("estimator", ["naive", "dr"])
def test_estimators_that_take_other_ways(log, trained, tmp_path, estimator) -> None:
    weighs = estimator != "naive"
    folder = with_steps(trained, tmp_path / "workdir", "base", *(["propensity"] if weighs else []))
    for step in ("propensity", "satisfaction"):
        run(log, folder, only=step, satisfaction={"estimator": estimator})
    found = imputed.open_scores(folder / "scores", log, "--scores")
    assert found.manifest["method"] == estimator
    assert (len(np.unique(found.propensity)) > 1) == weighs  # where nothing is weighed, one number for all
    assert (folder / "propensity" / "calibration.json").exists() == weighs


def test_a_step_without_the_one_before(log, tmp_path) -> None:
    with pytest.raises(UsageError, match=r"--only=satisfaction: .* has no step 'base' yet; run --only=base first"):
        run(log, tmp_path / "workdir", only="satisfaction")


@pytest.mark.parametrize(
    ("made", "options", "message"),
    [
        ({"answered": 0.0}, {}, r"questionnaire_answer is empty, .*; set --config\.answers=like_dislike"),
        (
            {"answered": 0.0, "reactions": False},
            {},
            r"is empty, .* nor are there likes and dislikes",
        ),
        (
            {"reactions": False},
            {"answers": "like_dislike"},
            r"no event is a like or a dislike; set --config\.answers=q",
        ),
        ({"satisfied": 1.0}, {}, r"'dissatisfied' \(--config\.answers=questionnaire\).*or set --config\.answers=like_"),
        ({"satisfied": 0.0}, {}, r"no answer is 'satisfied'"),
        ({}, {"answers": "stars"}, r"--config\.answers=stars: one of questionnaire, like_dislike"),
        ({}, {"protocol": "random"}, r"--config\.protocol=random: one of time, leave_one_out"),
        ({}, {"satisfaction": {"num_steps": 0}}, r"--config\.satisfaction\.num_steps=0: must be at least 1"),
        ({}, {"propensity": {"valid_share": 1.0}}, r"--config\.propensity\.valid_share=1\.0: between 0 and 1"),
        ({}, {"base": {"recommender": "/nowhere"}}, r"--config\.base\.recommender=/nowhere: no recommender here"),
        (
            {},
            {"base": {"recommender": "/export"}, "protocol": "leave_one_out"},
            r"--config\.base\.recommender=/export: it knows clicks that --config\.protocol=leave_one_out holds out",
        ),
        ({}, {"align": {"click_loss": "hinge"}}, r"--config\.align\.click_loss=hinge: one of bce, exact, sampled"),
        ({"clicks": False}, {}, r"no event is a click or a long view, which SAQRec and its base learn from"),
        ({}, {"align": {"heads": 4}}, r"--config\.align\.heads=4: does not divide the item vectors' 6 dimensions"),
    ],
)
def test_one_line_for_each_mistake(tmp_path, made, options, message) -> None:
    other = write(tmp_path / "timelines", **made)
    with pytest.raises((UsageError, DataError), match=message) as raised:
        run(other, tmp_path / "workdir", only="base", **options)
    assert "\n" not in str(raised.value)


def test_an_exported_recommender_is_a_base(log, tmp_path) -> None:
    config = retrieval_configs.get_config("tiny,no_dislike_signal")
    config.update({"dim": 6, "hidden": 7, "length": 16, "batch_size": 4, "num_epochs": 1, "warmup_steps": 2})
    retrieval_training.train(config, data=str(log.path), workdir=str(tmp_path / "retrieval"))
    model = checkpoint.load(tmp_path / "retrieval", log)
    export = tmp_path / "recommender"

    def write_export(lineage) -> None:
        exporting.write(
            export, retriever=model, timelines=log, options=config.export, lineage=lineage, with_serving=False
        )

    learned = {"config": {"train_on": ["train"], "counted": ["popularity"]}}
    for lineage, told in (
        ({}, "does not say that it has learned from training days alone"),
        ({"config": {"train_on": ["train", "valid"]}, "counted_until": "valid"}, "learned from training days alone"),
        (learned | {"counted_until": "end"}, r"counted in it is of the days until 'end', .* --counted_until=valid$"),
    ):
        write_export(lineage)
        with pytest.raises(UsageError, match=rf"--config\.base\.recommender=.*/recommender: .*{told}"):
            run(log, tmp_path / "refused", only="base", base={"recommender": str(export)})
    write_export({"config": {"train_on": ["train"], "counted": [], "trend_days": []}, "counted_until": "end"})
    assert base.check_exported(config_of(base={"recommender": str(export)}), log) == model.item_vectors().shape[1]
    shutil.rmtree(export)
    trained = str(tmp_path / "retrieval")
    exporting.export(
        config.export,
        data=str(log.path),
        trained=trained,
        workdir=str(export.parent / "exported"),
        with_serving=False,
        counted_until="valid",
    )
    export, model = tmp_path / "exported" / "recommender", checkpoint.load(trained, log, until="valid")
    heads = {"heads": model.item_vectors().shape[1] - 1}
    with pytest.raises(UsageError, match="does not divide the item vectors'"):
        run(log, tmp_path / "refused", only="base", base={"recommender": str(export)}, align=heads)
    run(log, tmp_path / "workdir", only="base", base={"recommender": str(export)}, align={"heads": 1})
    found = BaseEmbeddings.open(tmp_path / "workdir" / "base_embeddings", log, "--w")
    np.testing.assert_array_equal(found.item, model.item_vectors())
    clicked = log.item[is_click(log) & log.in_split("train") & (log.user_of_event() == 0)]
    np.testing.assert_allclose(found.user[0], found.item[clicked].mean(axis=0), rtol=1e-5)


def test_everybody_answers(tmp_path) -> None:
    other = write(tmp_path / "timelines", answered=1.0)
    run(other, tmp_path / "workdir", only="base")
    with pytest.raises(DataError, match=r"every training impression is answered: .* set .*estimator=naive"):
        run(other, tmp_path / "workdir", only="propensity")


def test_likes_and_dislikes_as_answers(log) -> None:
    bits = np.asarray(log.feedback)
    like, dislike = feedback.has(bits, "like"), feedback.has(bits, "dislike")
    unclicked = dislike & ~feedback.has(bits, "click")
    found = answers(log, "like_dislike")
    assert unclicked.any()
    assert (found[unclicked] == 0).all()
    np.testing.assert_array_equal(found, np.where(dislike, 0, np.where(like, 1, -1)))


def test_scores_of_other_timelines(trained, tmp_path) -> None:
    other = write(tmp_path / "timelines", vocabulary_hash="y")
    with pytest.raises(UsageError, match=r"--scores=.*: of other events than --data=.* has"):
        imputed.open_scores(trained / "scores", other, "--scores")
    with pytest.raises(UsageError, match=r"--run=.*: trained on other timelines than --data"):
        predictions.open_run(trained, other)


def test_a_run_scores_no_other_log_of_the_same_users_and_items(log, trained, tmp_path) -> None:
    other = write(tmp_path / "timelines", answered=0.4)
    assert other.manifest["vocabulary_hash"] == log.manifest["vocabulary_hash"]
    with pytest.raises(UsageError, match=r"--run=.*: trained on other timelines than --data=.*; give its own"):
        score(other, trained, tmp_path / "scored")


def test_models_of_other_features_score_nothing(log, trained, tmp_path) -> None:
    shutil.copytree(trained, tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / "scores" / "manifest.json").read_text())
    write_json(tmp_path / "run" / "scores" / "manifest.json", {**manifest, "version": 2})
    with pytest.raises(UsageError, match=r"--run=.*: satisfaction_scores format 2, this code reads 3"):
        predictions.open_run(tmp_path / "run", log)


def score(log, trained, folder, pairs=""):
    return predictions.run(data=str(log.path), run=str(trained), workdir=str(folder), pairs=str(pairs))


def test_all_impressions_are_scored_as_in_training(log, trained, tmp_path) -> None:
    line = score(log, trained, tmp_path / "scored")
    assert line.startswith(f"scored {len(log.item):,} rows")
    assert content(tmp_path / "scored" / "scores") == content(trained / "scores")
    assert score(log, trained, tmp_path / "scored").startswith("already complete")


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_list_of_pairs(log, trained, tmp_path, suffix) -> None:
    held_out = np.flatnonzero(log.in_split("test"))[:7]
    users = log.users["user_id"].gather(log.user_of_event()[held_out])
    items = log.items["item_id"].gather(log.item[held_out])
    frame = pl.DataFrame({"user_id": users, "item_id": items, "note": ["kept"] * 7})
    file = tmp_path / f"pairs{suffix}"
    frame.write_csv(file) if suffix == ".csv" else frame.write_parquet(file)
    score(log, trained, tmp_path / "scored", file)
    target = tmp_path / "scored" / f"satisfaction{suffix}"
    got = pl.read_csv(target) if suffix == ".csv" else pl.read_parquet(target)
    assert got.columns == ["user_id", "item_id", "note", "satisfaction"]
    # Held-out impressions read the rates of all training events, as pairs do.
    expected = imputed.open_scores(trained / "scores", log, "--scores").satisfaction[held_out]
    np.testing.assert_allclose(got["satisfaction"], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ({"user_id": [0, 1], "item_id": [100, 7]}, r"1 of 2 rows have a item_id .* the first is '7' in row 2; leave"),
        ({"user_id": [0, 999], "item_id": [100, 100]}, r"1 of 2 rows have a user_id .* the first is '999' in row 2"),
        ({"user_id": ["a"], "item_id": [100]}, r"1 of 1 rows have a user_id that --data="),
        ({"user": [0], "item_id": [100]}, r"no column user_id, only user, item_id"),
        ({"user_id": [], "item_id": []}, r"no rows; nothing to score"),
    ],
)
def test_a_list_that_cannot_be_scored(log, trained, tmp_path, frame, message) -> None:
    file = tmp_path / "pairs.parquet"
    pl.DataFrame(frame).write_parquet(file)
    with pytest.raises(DataError, match=message) as raised:
        score(log, trained, tmp_path / "scored", file)
    assert "\n" not in str(raised.value)


def test_no_list_and_no_run(log, trained, tmp_path) -> None:
    with pytest.raises(UsageError, match=r"--pairs=.*nowhere\.csv: no such file"):
        score(log, trained, tmp_path / "scored", tmp_path / "nowhere.csv")
    with pytest.raises(UsageError, match=r"--run=.*: no trained satisfaction model here; run satisfaction\.train"):
        score(log, tmp_path, tmp_path / "scored")
