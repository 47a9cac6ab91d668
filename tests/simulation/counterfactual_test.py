import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from configs.counterfactual import get_config
from configs.world import get_config as world_config
from data.events_read import Reading
from data.feedback import BITS, DWELL_EDGES_MS
from runtime.artifact import writing
from runtime.errors import DataError, FellShortError, UsageError
from simulation.counterfactual.gate import Gate
from simulation.counterfactual.measurement import run
from simulation.counterfactual.settings import check
from simulation.exported.recommender import Recommender, load
from simulation.world.feed import simulate
from simulation.world.latent.catalogue import LatentCatalogue
from simulation.world.state import open_world
from simulation.world.tables import tables, truth
from simulation.world.tables import write as write_world
from tests.helpers import fake_recommender as fake

# 60 items: 5 clusters of 12, each of 3 creators of 4. Integer vectors, so that sums are exact in any order.
NUM_ITEMS, DIM = 60, 6
INDEX = np.arange(NUM_ITEMS + 1)
CLUSTER = np.where(INDEX > 0, (INDEX - 1) % 5 + 1, 0)
CREATOR = np.where(INDEX > 0, (INDEX - 1) % 15 + 1, 0)
VECTORS = np.random.default_rng(0).integers(-8, 9, (NUM_ITEMS + 1, DIM)).astype(np.float32) * (INDEX > 0)[:, None]
ONE_HOT = np.eye(6, dtype=np.float32)[CLUSTER] * (INDEX > 0)[:, None]  # [N+1, 6]
ITEMS = fake.item_table(CREATOR, CLUSTER)


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Recommenders that see dislikes, with and without a step function; one that is blind; one of the last event."""
    folder = tmp_path_factory.mktemp("exports")
    sees, blind = (fake.sum_tower(VECTORS, sees_dislikes=sees) for sees in (True, False))
    step = fake.sum_step(VECTORS, sees_dislikes=True)
    return {
        "tower": fake.write(folder / "tower", vectors=VECTORS, items=ITEMS, tower=sees),
        "step": fake.write(folder / "step", vectors=VECTORS, items=ITEMS, tower=sees, step=step),
        "blind": fake.write(folder / "blind", vectors=VECTORS, items=ITEMS, tower=blind),
        "last": fake.write(folder / "last", vectors=ONE_HOT, items=ITEMS, tower=fake.last_tower(ONE_HOT)),
    }


@pytest.fixture(scope="module")
def measured(exports, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workdir of a run on the recommender that sees dislikes."""
    workdir = tmp_path_factory.mktemp("measured")
    measure(exports["tower"], workdir)
    return workdir


def settings(**changes):
    config = get_config("tiny")
    config.update(users=30, k=6, slate_size=5, bootstrap_samples=200, **changes)
    return config


def results(workdir: Path):
    with np.load(workdir / "per_user.npz") as arrays:
        per_user = dict(arrays)
    return json.loads((workdir / "metrics.json").read_text()), per_user


def measure(export: Path, workdir: Path, **changes):
    run(settings(**changes), str(export), str(workdir))
    return results(workdir)


def test_a_model_blind_to_dislikes_answers_exactly_zero(exports, tmp_path):
    metrics, per_user = measure(exports["blind"], tmp_path)
    for kind in ("content", "creator"):
        for bound in ("", "/low", "/high"):
            assert metrics[f"long_watch+dislike/{kind}{bound}"] == 0.0
    # This one reads neither dwell nor feedback: every branch is the baseline.
    for branch in ("long_watch+dislike", "skip", "quit_early"):
        np.testing.assert_array_equal(per_user[f"slates/{branch}"], per_user["slates/long_watch"])


def test_a_model_that_turns_away_from_the_cluster(exports, tmp_path):
    # The query is +e_c or -e_c of the last item's cluster c. 12 items a cluster, at most 6 consumed, a slate of 5:
    # after a long watch all of c, after a dislike none: 0 / 1 - 1 = -1, for every user and so for every resample.
    metrics, _ = measure(exports["last"], tmp_path)
    assert metrics["similarity/long_watch/content"] == 1.0
    assert metrics["similarity/long_watch+dislike/content"] == 0.0
    for bound in ("", "/low", "/high"):
        assert metrics[f"long_watch+dislike/content{bound}"] == 0 / 1 - 1
        assert metrics[f"long_watch+dislike/creator{bound}"] == 0 / 1 - 1
        assert metrics[f"skip/content{bound}"] == 0.0
    assert metrics["users/content"] == 30


def test_metrics_are_the_ratio_of_the_per_user_means(measured):
    metrics, per_user = results(measured)
    for kind in ("content", "creator"):
        base, branch = (per_user[f"{name}/{kind}"].mean() for name in ("long_watch", "long_watch+dislike"))
        assert metrics[f"long_watch+dislike/{kind}"] == pytest.approx(branch / base - 1)
        assert metrics[f"long_watch+dislike/{kind}"] < 0
        assert metrics[f"long_watch+dislike/{kind}/low"] <= metrics[f"long_watch+dislike/{kind}"]
        assert metrics[f"long_watch+dislike/{kind}/high"] >= metrics[f"long_watch+dislike/{kind}"]


def test_the_step_function_gives_what_the_tower_gives(exports, measured, tmp_path):
    metrics, per_user = results(measured)
    metrics_of_step, per_user_of_step = measure(exports["step"], tmp_path)
    assert metrics == metrics_of_step
    for name, values in per_user.items():
        np.testing.assert_array_equal(values, per_user_of_step[name])


def test_consumed_items_are_never_recommended(measured):
    _, per_user = results(measured)
    for user, consumed in enumerate(per_user["items"]):
        assert len(set(consumed)) == 6
        assert consumed.min() >= 1
        for branch in ("long_watch", "long_watch+dislike", "skip", "quit_early"):
            slate = per_user[f"slates/{branch}"][user]
            assert len(set(slate)) == 5
            assert slate.min() >= 1
            assert not set(slate) & set(consumed)


def test_a_branch_does_not_depend_on_the_others(exports, measured, tmp_path):
    _, together = results(measured)
    _, alone = measure(exports["tower"], tmp_path, branches=("long_watch+dislike",))
    for name in ("items", "slates/long_watch", "slates/long_watch+dislike"):
        np.testing.assert_array_equal(together[name], alone[name])


def test_the_same_seed_gives_the_same_files_and_another_does_not(exports, measured, tmp_path):
    for name, seed in (("again", 0), ("other", 1)):
        measure(exports["tower"], tmp_path / name, seed=seed)
    for file in ("metrics.json", "per_user.npz", "examples.json"):
        once, again, other = ((run / file).read_bytes() for run in (measured, tmp_path / "again", tmp_path / "other"))
        assert once == again
        assert once != other


def test_examples_name_items_as_the_log_does(exports, tmp_path):
    _, per_user = measure(exports["last"], tmp_path, examples=2)
    examples = json.loads((tmp_path / "examples.json").read_text())
    assert len(examples) == 2
    for user, example in enumerate(examples):
        consumed = per_user["items"][user]
        assert [entry["item_id"] for entry in example["history"]] == [f"item{i}" for i in consumed[:-1]]
        assert all(entry["action"] in settings().behaviours for entry in example["history"])
        assert example["item"] == {
            "item_id": f"item{consumed[-1]}",
            "creator_id": f"by{CREATOR[consumed[-1]]}",
            "cluster_id": f"about{CLUSTER[consumed[-1]]}",
        }
        for branch, slate in example["slates"].items():
            indices = per_user[f"slates/{branch}"][user]
            assert [entry["item_id"] for entry in slate] == [f"item{i}" for i in indices]
            assert all(entry["same_content"] == (branch != "long_watch+dislike") for entry in slate)
            assert [entry["same_creator"] for entry in slate] == list(CREATOR[indices] == CREATOR[consumed[-1]])


def test_examples_show_titles_and_leave_out_what_the_table_knows_of_no_item(tmp_path):
    unknown = ITEMS.with_columns(cluster=0 * pl.col("cluster"), cluster_id=pl.lit(None, pl.String))
    unknown = unknown.with_columns(title="Part " + pl.col("item_id"))
    tower = fake.sum_tower(VECTORS, sees_dislikes=True)
    export = fake.write(tmp_path / "export", vectors=VECTORS, items=unknown, tower=tower)
    metrics, _ = measure(export, tmp_path / "run", examples=1)
    (example,) = json.loads((tmp_path / "run" / "examples.json").read_text())
    assert example["item"].keys() == {"item_id", "title", "creator_id"}
    shown = [example["item"], *example["history"], *(entry for slate in example["slates"].values() for entry in slate)]
    assert all(entry["title"] == f"Part {entry['item_id']}" for entry in shown)
    assert all(shares.keys() == {"creator"} for shares in example["shares"].values())
    assert not any("content" in name for name in metrics)


def test_a_complete_workdir_is_left_alone_and_another_model_refused(exports, measured, capsys):
    written = (measured / "metrics.json").stat().st_mtime_ns
    measure(exports["tower"], measured)
    assert "complete already" in capsys.readouterr().out
    assert (measured / "metrics.json").stat().st_mtime_ns == written
    with pytest.raises(UsageError, match="another config or dataset"):
        measure(exports["blind"], measured)


def test_a_similarity_without_its_column_is_left_out_and_said_so(tmp_path, capsys):
    tower = fake.sum_tower(VECTORS, sees_dislikes=True)
    for name, items in (
        ("no_column", ITEMS.drop("creator", "creator_id")),
        ("all_unknown", fake.item_table(0 * CREATOR, CLUSTER)),
    ):
        export = fake.write(tmp_path / name, vectors=VECTORS, items=items, tower=tower)
        metrics, _ = measure(export, tmp_path / f"run_{name}")
        assert "creator similarity left out" in capsys.readouterr().out
        assert "long_watch+dislike/content" in metrics
        assert not any("creator" in key for key in metrics)
    export = fake.write(tmp_path / "neither", vectors=VECTORS, items=ITEMS.drop("creator", "cluster"), tower=tower)
    with pytest.raises(UsageError, match="neither cluster nor creator"):
        measure(export, tmp_path / "run_neither")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"branches": ("hate",)}, "action 'hate': 'hate' is not known; write one of skip, quit_early"),
        ({"branches": ("skip+boo",)}, "'boo' is not known"),
        ({"branches": ("skip+like",)}, "no skip"),
        ({"branches": ("long_watch",)}, "the baseline not among them"),
        ({"k": 17}, "--config.k=17: the recommender reads the last 16 events"),
        ({"k": 1}, "--config.k=1: at least 2"),
        ({"users": 0}, "--config.users=0"),
        ({"slate_size": 55}, "61 items, the recommender has 60"),
        ({"slate_size": 100}, "--config.slate_size=100"),
        ({"place_power": float("nan")}, "place_power=nan"),
        ({"behaviours": {"skip": -1.0}}, "behaviours.skip=-1.0"),
    ],
)
def test_a_setting_that_cannot_be_run_is_named(exports, tmp_path, changes, message):
    config = settings()
    config.update(changes)
    with pytest.raises(UsageError) as error:
        run(config, str(exports["tower"]), str(tmp_path / "run"))
    assert message in str(error.value)
    assert not (tmp_path / "run").exists()


def test_popularity_needs_counts(tmp_path):
    items = ITEMS.with_columns(train_count=0 * ITEMS["train_count"])
    tower = fake.sum_tower(VECTORS, sees_dislikes=True)
    export = fake.write(tmp_path / "export", vectors=VECTORS, items=items, tower=tower)
    with pytest.raises(UsageError, match="first_item_power=0"):
        measure(export, tmp_path / "run")
    measure(export, tmp_path / "run", first_item_power=0.0)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"version": 1}, UsageError, "recommender format 1, this code reads 2; write it again"),
        ({"kind": "timelines"}, UsageError, "holds 'timelines', not 'recommender'"),
        ({"feedback_bits": {"dislike": 0}}, UsageError, "feedback_bits is"),
        ({"dwell_edges_ms": [1]}, UsageError, "dwell_edges_ms is"),
        ({"num_items": 7}, DataError, "item_vectors.npy: float32"),
        ({"dim": 5}, DataError, "user_tower.jax: gives"),
        ({"length": 8}, DataError, "user_tower.jax: takes"),
        ({"vectors": np.where(INDEX[:, None] == 9, np.nan, VECTORS)}, DataError, "row 9 is not finite"),
        ({"items": ITEMS.head(10)}, DataError, "item_table.parquet: 10 rows"),
        ({"items": ITEMS.drop("train_count")}, DataError, "no column 'train_count'"),
        ({"items": ITEMS.with_columns(creator="creator_id")}, DataError, "column 'creator' is String"),
    ],
)
def test_a_manifest_that_promises_something_else_is_refused(tmp_path, changes, error, message):
    fields = {"vectors": VECTORS, "items": ITEMS, "tower": fake.sum_tower(VECTORS, sees_dislikes=True)} | changes
    with pytest.raises(error) as raised:
        load(fake.write(tmp_path / "export", **fields))
    assert message in str(raised.value)


def test_a_verdict_in_the_manifest_makes_it_no_other_recommender(tmp_path):
    tower = fake.sum_tower(VECTORS, sees_dislikes=True)
    export = fake.write(tmp_path / "export", vectors=VECTORS, items=ITEMS, tower=tower, lineage={"checkpoint": "run"})
    before, manifest = load(export), json.loads((export / "manifest.json").read_text())
    (export / "manifest.json").write_text(json.dumps({**manifest, "verdict": {"passed": True}}))
    after = load(export)
    assert (after.fingerprint, after.checkpoint) == (before.fingerprint, "run")
    (export / "manifest.json").write_text(json.dumps({**manifest, "lineage": {"checkpoint": "another"}}))
    assert load(export).fingerprint != before.fingerprint


def test_a_foreign_folder_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"--recommender=.*no recommender here"):
        load(tmp_path)
    with writing(tmp_path / "bare", kind="recommender", version=2, fields={}):
        pass
    with pytest.raises(DataError, match="no field 'length'"):
        load(tmp_path / "bare")
    fields = {"length": 16, "dim": DIM, "num_items": NUM_ITEMS, "feedback_bits": BITS, "dwell_edges_ms": DWELL_EDGES_MS}
    with writing(tmp_path / "garbage", kind="recommender", version=2, fields=fields) as folder:
        (folder / "user_tower.jax").write_bytes(b"no function")
    with pytest.raises(DataError, match=r"user_tower\.jax: not a function saved by jax.export"):
        load(tmp_path / "garbage")
    (tmp_path / "garbage" / "user_tower.jax").write_bytes(b"altered____")
    with pytest.raises(DataError, match=r"user_tower\.jax: checksum"):
        load(tmp_path / "garbage")


def test_the_command_line(exports, tmp_path):
    def command(*flags: str):
        return subprocess.run(
            [sys.executable, "-m", "simulation.counterfactual", *flags],
            cwd=Path(__file__).parent.parent.parent,
            capture_output=True,
            text=True,
        )

    no_recommender = command(f"--workdir={tmp_path}")
    assert no_recommender.returncode == 2
    assert no_recommender.stderr.splitlines() == [
        "simulation.counterfactual: --recommender is required: the folder that retrieval.export wrote; see --help"
    ]
    blind = [f"--recommender={exports['blind']}", f"--workdir={tmp_path / 'blind'}", "--min_responsiveness=-0.5"]
    fell_short = command("--config=configs/counterfactual.py:tiny", *blind)
    assert fell_short.returncode == 4
    assert fell_short.stderr.splitlines()[-1].startswith(
        "simulation.counterfactual: long_watch+dislike/content is +0.0%, at most -50.0% is asked for; "
    )
    bad_size = command("--config=configs/counterfactual.py:huge")
    assert bad_size.returncode == 2
    assert "no size 'huge'" in bad_size.stderr


def test_distances_sweeps_and_rows_have_their_own_names(exports, tmp_path):
    changes = {"branches": ("long_watch+dislike", "long_watch+dislike*2"), "distances": (1, 4)}
    metrics, per_user = measure(exports["last"], tmp_path / "run", **changes, sweep_k=(3,), sweep_slate_size=(2, 7))
    for name in ("long_watch+dislike", "long_watch+dislike*2"):
        # The query is −e_c right after, and then that of whatever was taken last: who has been turned away from c
        # stays where the next item was, who has not stays in c.
        assert metrics[f"{name}/content"] == metrics[f"after_4/{name}/content"] == -1.0
        for prefix in ("slate_2/", "slate_7/", "k_3/", "k_3/after_4/slate_2/"):
            assert f"{prefix}{name}/content" in metrics
            assert per_user[f"{prefix}{name}/content"].shape == (30,)
    slate, wide = per_user["slates/long_watch"], per_user["after_4/slates/long_watch"]
    assert slate.shape == wide.shape == (30, 5)
    share = (CLUSTER[slate[:, :2]] == CLUSTER[per_user["items"][:, -1:]]).mean(axis=1)
    np.testing.assert_array_equal(per_user["slate_2/long_watch/content"], share)
    # What is looked at more widely or further on changes nothing of the rest.
    alone, _ = measure(exports["last"], tmp_path / "alone", branches=("long_watch+dislike",))
    assert alone.items() <= metrics.items()


def test_another_models_vectors_say_what_is_alike(exports, tmp_path):
    further = 2 * ONE_HOT  # another model's, of the same directions
    other = fake.write(
        tmp_path / "other", vectors=further, items=ITEMS, tower=fake.sum_tower(further, sees_dislikes=False)
    )
    run(settings(), str(exports["last"]), str(tmp_path / "run"), similarity_vectors=str(other))
    metrics, per_user = results(tmp_path / "run")
    # One-hot vectors of the clusters: cosine 1 within a cluster, 0 elsewhere.
    np.testing.assert_allclose(per_user["skip/vectors"], per_user["skip/content"], atol=1e-6)
    assert metrics["long_watch+dislike/vectors"] == pytest.approx(-1.0)
    with pytest.raises(UsageError, match="the recommender itself"):
        run(settings(), str(other), str(tmp_path / "same"), similarity_vectors=str(other))


def test_how_far_the_truth_would_move_a_slate_stands_beside_the_branches(tmp_path):
    config = world_config("tiny,latent")
    config.update(num_users=200, num_items=300, num_events=6_000)
    feed = simulate(config)
    for kind, frames in (("tables", tables(feed)), ("truth", truth(feed, config))):
        write_world(tmp_path / "world" / kind, frames, kind=kind, config=config.to_dict())
    assert isinstance(feed.catalogue, LatentCatalogue)
    padded = np.pad(feed.catalogue.vector, ((1, 0), (0, 0))).astype(np.float32)
    index = np.arange(len(padded))
    ids = pl.Series([f"{item - 1}" if item else "" for item in index])
    items = fake.item_table(CREATOR[index % 61], CLUSTER[index % 61]).with_columns(item_id=ids)
    items = items.drop("creator_id", "cluster_id")
    # Before a no the slate is what lies nearest to the last item, after it what lies furthest from it.
    export = fake.write(tmp_path / "export", vectors=padded, items=items, tower=fake.last_tower(padded))
    run(settings(branches=("long_watch+dislike",)), str(export), str(tmp_path / "run"), truth=str(tmp_path / "world"))
    metrics, per_user = results(tmp_path / "run")
    shown, left, last = per_user["slates/long_watch"], per_user["slates/filtered"], per_user["items"][:, -1:]
    reach = open_world(str(tmp_path / "world")).aversions["reach"].to_numpy()
    nearest = [(padded[slates] * padded[last]).sum(axis=-1)[:, 0] for slates in (shown, left)]  # [users] each
    # The nearest item that an aversion of one of the feed's widths does not cover, and not all of one width.
    assert (nearest[1] <= nearest[0]).all()
    assert (nearest[1] < reach.max()).all()
    assert nearest[1].std() > 0.01
    for kind in ("content", "creator", "truth"):
        before, after = (np.nanmean(per_user[f"{name}/{kind}"]) for name in ("long_watch", "filtered"))
        assert metrics[f"filtered/{kind}"] == pytest.approx(after / before - 1)
    assert -1 == metrics["long_watch+dislike/truth"] < metrics["filtered/truth"] < -0.4
    # Without the truth the same branches show the same.
    run(settings(branches=("long_watch+dislike",)), str(export), str(tmp_path / "alone"))
    alone, _ = results(tmp_path / "alone")
    assert alone.items() <= metrics.items()
    assert not any(name.startswith("filtered") for name in alone)


def test_a_gate_is_judged_again_on_a_complete_run(exports, measured, tmp_path):
    measure(exports["last"], tmp_path)
    for limit in (-1.0, -0.5):
        run(settings(), str(exports["last"]), str(tmp_path), gate=Gate(min_responsiveness=limit))
        assert results(tmp_path)[0]["gate/long_watch+dislike/content/limit"] == limit
    with pytest.raises(FellShortError, match=r"long_watch\+dislike/content is .* asked for.*verdict\.json"):
        run(settings(), str(exports["blind"]), str(tmp_path / "blind"), gate=Gate(min_responsiveness=-0.01))
    assert json.loads((tmp_path / "blind" / "verdict.json").read_text())["passed"] is False
    metrics, _ = results(tmp_path / "blind")
    assert metrics["gate/passed"] == 0
    assert metrics["long_watch+dislike/content"] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"distances": (5, 1)}, "--config.distances=(5, 1): ascending, and 1"),
        ({"distances": ()}, "--config.distances=()"),
        ({"distances": (1, 20)}, "--config.k=6 and 19 more for the longest branch and distance"),
        ({"beyond": (-1,)}, "--config.beyond=(-1,): each at least 0"),
        ({"beyond": (1,)}, "--config.beyond=(1,): the recommender has no user_step.jax"),
        ({"branches": ("skip;other:skip*5",)}, "5 other clusters, and the item table knows 5 in all"),
        ({"path_of": "long_watch+like"}, "--config.path_of=long_watch+like: one of --config.branches"),
        ({"path_of": "skip", "branches": ("skip", "skip*2")}, "each of which is a single action"),
        ({"sweep_k": (1,)}, "--config.sweep_k=(1,): each at least 2"),
        ({"sweep_k": (40,)}, "--config.sweep_k=40: the recommender reads the last 16"),
        ({"sweep_slate_size": (58,)}, "--config.sweep_slate_size=58: a slate beside k=6 consumed items needs 64 items"),
    ],
)
def test_a_sweep_that_cannot_be_run_is_named(exports, tmp_path, changes, message):
    config = settings()
    config.update(changes)
    with pytest.raises(UsageError) as error:
        run(config, str(exports["tower"]), str(tmp_path / "run"))
    assert message in str(error.value)


def test_rows_of_actions_need_clusters(tmp_path):
    tower = fake.sum_tower(VECTORS, sees_dislikes=True)
    export = fake.write(tmp_path / "export", vectors=VECTORS, items=ITEMS.drop("cluster"), tower=tower)
    with pytest.raises(UsageError, match="several actions in a row need items of one cluster"):
        measure(export, tmp_path / "run", branches=("skip*2",))


NO = "long_watch+dislike"
WATCHING = {"behaviours": {"long_watch": 1.0}, "slate_size": 10}


def aversion(folder: Path, *, remembers: int) -> Path:
    """A recommender whose logit of an item is 1 + likes of its cluster − 2 · the dislikes of it that it remembers.

    Where all clusters score alike the lower index goes first, and clusters alternate: a slate of 10 has all five.
    """
    tower, step = fake.aversion_tower(ONE_HOT, remembers=remembers), fake.aversion_step(ONE_HOT)
    # A step that never forgets, for the tower that remembers all it reads.
    return fake.write(folder, vectors=ONE_HOT, items=ITEMS, tower=tower, step=step if remembers == NUM_ITEMS else None)


def measure_experiment(export: Path, workdir: Path, **changes):
    config = settings()
    with config.unlocked():
        config.behaviours = changes.pop("behaviours")
    config.update(**changes)
    run(config, str(export), str(workdir))
    return results(workdir)


@pytest.mark.parametrize(("remembers", "expected"), [(1, (-1, -1, 0, 0)), (2, (-1, -1, -1, 0)), (60, (-1, -1, -1, -1))])
def test_a_no_to_other_clusters_shows_how_many_a_model_holds(tmp_path, remembers, expected):
    # Held, the cluster scores -1 and the others, 24 items and more, 1 or -1: none of it in the slate, 0 / x - 1. Not
    # held, branch and baseline, which have said no to the same others, have the same query and the same slate.
    branches = (NO, f"{NO};other:long_watch", f"{NO};other:{NO}", f"{NO};other:{NO}*2")
    metrics, per_user = measure_experiment(
        aversion(tmp_path / "export", remembers=remembers), tmp_path / "run", branches=branches, **WATCHING
    )
    for branch, change in zip(branches, expected, strict=True):
        for bound in ("", "/low", "/high"):
            assert metrics[f"{branch}/content{bound}"] == change
    for branch, against in zip(branches[1:], ("other:long_watch", f"other:{NO}", f"other:{NO}*2"), strict=True):
        assert f"similarity/long_watch;{against}/content" in metrics
        same = (per_user[f"slates/{branch}"] == per_user[f"slates/long_watch;{against}"]).all()
        assert same == (metrics[f"{branch}/content"] == 0)
    # The other cluster goes too: it was the last to be said no to, or the last but one of two.
    assert metrics[f"other/similarity/{branches[1]}/content"] > 0
    assert metrics[f"other/similarity/{branches[2]}/content"] == 0
    assert (metrics[f"other/similarity/{branches[3]}/content"] == 0) == (remembers > 1)
    assert not any(name.startswith("other/") and name.endswith("/low") for name in metrics)


def test_likes_after_a_no_show_how_fast_it_is_taken_back(tmp_path):
    # After n likes the cluster scores 1 - 2 + n, in the baseline 1 + n, other clusters 1. One like leaves it below
    # them, two beside them, three above them, as in the baseline.
    branches = (NO, f"{NO};long_watch+like", f"{NO};long_watch+like*2", f"{NO};long_watch+like*3")
    export = aversion(tmp_path / "export", remembers=NUM_ITEMS)
    metrics, per_user = measure_experiment(export, tmp_path / "run", branches=branches, **WATCHING)
    none, one, two, three = (metrics[f"{branch}/content"] for branch in branches)
    assert (none, one, three) == (-1, -1, 0)
    assert -1 < two < 0
    np.testing.assert_array_equal(per_user[f"slates/{branches[3]}"], per_user["slates/long_watch;long_watch+like*3"])


def test_a_no_is_forgotten_when_it_leaves_what_a_server_reads_and_not_by_a_state(tmp_path):
    # The tower reads 16 events. At distance 16 the no is the oldest of them, at 17 it is not among them, and nothing
    # tells the branch from the baseline, which has taken the same items since.
    export = aversion(tmp_path / "export", remembers=NUM_ITEMS)
    further = {"branches": (NO,), "distances": (1, 5), "beyond": (0, 1), "path_of": NO, **WATCHING, "slate_size": 5}
    state, _ = measure_experiment(export, tmp_path / "state", **further)
    window, _ = measure_experiment(export, tmp_path / "window", **further, reencode=True)
    for prefix in ("", "after_5/", "after_16/"):
        assert window[f"{prefix}{NO}/content"] == state[f"{prefix}{NO}/content"] == -1
    assert state[f"after_17/{NO}/content"] == -1
    assert window[f"after_17/{NO}/content"] == window[f"after_17/{NO}/creator"] == 0
    assert window[f"after_17/similarity/{NO}/content"] > 0
    assert window["events_read"] == 16


def test_a_history_that_a_server_reads_whole_is_read_as_by_the_step(exports, measured, tmp_path):
    metrics, per_user = results(measured)
    again, per_user_again = measure(exports["step"], tmp_path, reencode=True)
    assert metrics == again
    for name, values in per_user.items():
        np.testing.assert_array_equal(values, per_user_again[name])


@pytest.mark.parametrize(
    "experiment",
    ["paper", "in_a_row", "elsewhere", "undo", "memory", "forgetting", "forgetting_state", "lasting", "sweeps"],
)
def test_the_experiments_fit_a_model_of_64_events(experiment):
    for size in ("standard", "tiny"):
        config = get_config(f"{size},{experiment}")
        items = fake.item_table(np.ones(5001, int), np.arange(5001) % 7)
        some = Recommender(
            lambda b: b, lambda *s: s, np.zeros((5001, 2), np.float32), items, Reading(64), "", goes_on=True
        )
        check(config, some)
    with pytest.raises(ValueError, match="no experiment 'none'; there are paper"):
        get_config("tiny,none")
