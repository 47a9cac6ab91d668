"""The latent feed: what was configured is in the log, the truth is beside it and nowhere else, and it goes on."""

import dataclasses
import math

import numpy as np
import polars as pl
import pytest

from configs.world import get_config
from data.events_read import Reading
from runtime.errors import UsageError
from simulation.counterfactual.similarity import true_aversions
from simulation.exported.recommender import Recommender
from simulation.world import kinds
from simulation.world.behaviour import Environment, inclinations, react
from simulation.world.chances import chances
from simulation.world.facts import log_facts
from simulation.world.feed import check, simulate
from simulation.world.happened import Feed
from simulation.world.latent.catalogue import LatentCatalogue, draw_items, genre_shares, on_sphere
from simulation.world.latent.people import NO_INTENT, LatentUsers, draw_latent_users, drifted
from simulation.world.latent.popularity import STEPS_A_DAY, popularity_path
from simulation.world.newcomers import as_world, child, draw_people, newcomers
from simulation.world.population import Catalogue
from simulation.world.returning import habits
from simulation.world.state import World
from simulation.world.tables import tables, truth

SEED = np.random.SeedSequence(0)
DAY_MS = 86_400_000


def _config(**changes):
    config = get_config("tiny,latent")
    config.update_from_flattened_dict(changes)
    return config


@pytest.fixture(scope="module")
def config():
    # Aversions and dislikes enough to count in so small a log.
    return _config(num_users=600, num_events=36_000, num_items=1_200, **{"behaviour.turns_sour": 0.02})


@pytest.fixture(scope="module")
def feed(config) -> Feed:
    return simulate(config)


@pytest.fixture(scope="module")
def world(feed, config) -> World:
    return as_world(feed, config)


def test_the_same_config_gives_the_same_feed_and_another_seed_another() -> None:
    first, again, other = (simulate(_config(seed=seed, num_events=3_000)) for seed in (1, 1, 2))
    for made in (tables, lambda feed: truth(feed, _config())):
        for name, frame in made(first).items():
            assert frame.equals(made(again)[name]), name
    assert not np.array_equal(first.item[:500], other.item[:500])


@pytest.mark.parametrize(("variant", "least", "most"), [("latent", 0.007, 0.013), ("latent_rare", 0.0004, 0.0016)])
def test_rates_lie_where_the_real_log_puts_them_and_dislikes_where_the_config_does(variant, least, most) -> None:
    config = get_config(f"demo,{variant}")
    config.num_users, config.num_events = 1_500, 90_000
    log = tables(simulate(config))
    facts = log_facts(log["events"], log["items"])
    bands = {
        "rate/click": (0.40, 0.52),
        "rate/long_view": (0.27, 0.37),
        "rate/like": (0.012, 0.025),
        "rate/under_3_s": (0.35, 0.47),
        "rate/dislike": (least, most),
        "next_same_cluster/within_a_minute": (0.11, 0.2),
    }
    assert not {name: facts[name] for name, (low, high) in bands.items() if not low <= facts[name] <= high}
    assert facts["next_same_cluster/within_a_minute"] > facts["next_same_cluster/hours_later"]


def test_labels_are_wrong_and_coarse_in_the_shares_that_are_stated() -> None:
    config = _config(num_items=20_000, **{"latent.label_wrong": 0.1, "latent.label_coarse": 0.2})
    catalogue = draw_items(np.random.default_rng(0), config)
    coarse, wrong = catalogue.cluster == 0, (catalogue.cluster > 0) & (catalogue.cluster != catalogue.genre)
    for found, expected in ((coarse, 0.2), (wrong, 0.1)):
        assert abs(found.mean() - expected) < 4 * math.sqrt(expected * (1 - expected) / len(found))
    assert catalogue.cluster.max() < config.num_clusters
    assert catalogue.genre.min() >= 1


def test_two_items_are_of_one_genre_as_often_as_is_stated() -> None:
    rng = np.random.default_rng(0)
    overlaps = [(genre_shares(rng, 60, 0.06) ** 2).sum() for _ in range(400)]
    assert np.mean(overlaps) == pytest.approx(0.06, abs=4 * np.std(overlaps) / 20)


def test_items_of_a_genre_and_of_a_creator_lie_closer() -> None:
    catalogue = draw_items(np.random.default_rng(0), _config(num_items=600))
    cosine = catalogue.vector @ catalogue.vector.T
    np.testing.assert_allclose(np.diag(cosine), 1, atol=1e-5)
    apart = ~np.eye(len(cosine), dtype=bool)
    genre, creator = (code[:, None] == code for code in (catalogue.genre, catalogue.creator))
    assert cosine[genre & apart].mean() > cosine[~genre].mean() + 0.2
    assert cosine[creator & genre & apart].mean() > cosine[genre & ~creator].mean()


def test_so_many_items_are_new_on_every_day_and_none_is_shown_before_its_upload(feed) -> None:
    config = _config(num_items=20_000, **{"popularity.new_a_day": 0.02})
    uploaded = (draw_items(np.random.default_rng(0), config).uploaded_ms - config.start_ms) / DAY_MS
    a_day = np.histogram(uploaded, bins=np.arange(config.days + 1))[0]
    assert (np.abs(a_day - 400) < 5 * math.sqrt(400)).all()
    assert (uploaded < config.days).all()
    step_ms = DAY_MS // STEPS_A_DAY  # what is there is looked up once a step
    assert (feed.timestamp_ms >= feed.catalogue.uploaded_ms[feed.item]).all()
    assert step_ms * STEPS_A_DAY == DAY_MS


def test_bursts_fall_by_their_time_constant_and_fame_stays() -> None:
    config = _config(**{"popularity.burst_rate": 0.0, "popularity.burst_days": 2.0})
    uploaded = np.array([-0.25, 3.1, -1_000.0])
    fame, path = popularity_path(np.random.default_rng(0), np.zeros(3, np.int64), np.zeros(3), uploaded, config)
    # Its own upload is an item's only burst: e^(-1/2) of it are left a day later, and nothing of an old one.
    burst = path[:, 0] - fame[0]
    np.testing.assert_allclose(
        burst[STEPS_A_DAY::STEPS_A_DAY] / burst[:-STEPS_A_DAY:STEPS_A_DAY], math.exp(-0.5), rtol=1e-3
    )
    assert burst[0] > 0
    assert np.isneginf(path[: math.ceil(3.1 * STEPS_A_DAY), 1]).all()
    assert np.isfinite(path[math.ceil(3.1 * STEPS_A_DAY) :, 1]).all()
    np.testing.assert_allclose(path[:, 2], fame[2], rtol=1e-6)


def test_tastes_drift_by_so_much_a_day() -> None:
    config = _config(**{"people.renewal": 0.0, "people.drift": 0.2})
    rng = np.random.default_rng(0)
    catalogue = draw_items(rng, config)
    taste = on_sphere(rng.standard_normal((4_000, 2, config.latent.dim)))
    moved = drifted(rng, taste, catalogue, config)
    # Of a step ε with E |ε|² = 0.2², the part along the sphere turns by tan: 1 - cos is about |ε|² (1 - 1/D) / 2.
    turned = 1 - (taste * moved).sum(axis=-1).mean()
    assert turned == pytest.approx(0.2**2 * (1 - 1 / config.latent.dim) / 2, rel=0.1)
    config.people.renewal = 1.0
    assert np.abs((taste * drifted(rng, taste, catalogue, config)).sum(axis=-1)).mean() < 0.8


def _one(config, *, seed: int = 0) -> tuple[Environment, LatentCatalogue, np.random.Generator]:
    rng = np.random.default_rng(seed)
    catalogue = draw_items(rng, config)
    return Environment(draw_latent_users(rng, catalogue, config), catalogue, config), catalogue, rng


def test_an_aversion_is_a_cap_of_which_labels_show_a_part() -> None:
    config = _config(num_items=2_000, num_creators=300, **{"behaviour.turns_sour": 1.0, "behaviour.reach": (0.6, 0.6)})
    environment, catalogue, rng = _one(config)
    environment.people.take_in(rng, environment, np.array([3, 4]), np.array([7, 7]), np.array([True, False]))
    everything = np.arange(2_000)
    averse = environment.people.averse_to(environment, np.full(2_000, 3), everything)
    vector = catalogue.vector
    np.testing.assert_array_equal(averse, vector @ vector[7] >= 0.6)
    assert not environment.people.averse_to(environment, np.full(2_000, 4), everything).any()
    label = catalogue.cluster
    alike = label == label[7]
    assert 0 < averse[alike].mean() < 1
    assert averse[~alike].any()


def test_some_aversions_fade_and_others_stay() -> None:
    config = _config(num_users=4_000, num_events=12_000, **{"behaviour.turns_sour": 1.0, "behaviour.fading": 0.4})
    environment, _, rng = _one(config)
    everybody, item = np.arange(4_000), np.full(4_000, 5)
    environment.people.begin_session(rng, environment, everybody, np.zeros(4_000))
    environment.people.take_in(rng, environment, everybody, item, np.ones(4_000, bool))
    assert environment.people.averse_to(environment, everybody, item).all()
    for days, share in ((3.0, 0.6 + 0.4 * math.exp(-1)), (60.0, 0.6)):  # at a mean of 3 days
        environment.people.begin_session(rng, environment, everybody, np.full(4_000, days))
        left = environment.people.averse_to(environment, everybody, item).mean()
        assert abs(left - share) < 4 * math.sqrt(share * (1 - share) / 4_000), days


def test_an_intent_raises_its_own_taste_and_satiation_wears_it_down() -> None:
    config = _config(**{"people.low": 0.0, "people.high": 1.0, "people.other_tastes": 0.5, "people.satiation": 1.0})
    environment, catalogue, rng = _one(config)
    people = environment.people
    catalogue.vector[0], catalogue.vector[1] = np.eye(8)[0], np.eye(8)[1]
    people.taste[0] = np.eye(8)[:2]
    people.intent[0] = 0
    users, items = np.zeros(2, np.int64), np.array([0, 1])
    np.testing.assert_allclose(people.interest_in(environment, users, items), [1.0, 0.5])
    environment.people.take_in(rng, environment, users[:1], items[:1], np.array([True]))
    # m = (1 - 0.8) v_0 after one.
    np.testing.assert_allclose(people.interest_in(environment, users, items), [1.0 - 0.2, 0.5], rtol=1e-6)


def test_people_at_a_moment_are_as_they_were_when_the_log_was_made(world) -> None:
    log = world.log
    environment = world.environment_at(log.user, log.timestamp_ms)
    found = inclinations(environment, np.arange(len(log.item)), log.item)
    np.testing.assert_allclose(found.satisfied, log.satisfaction, atol=1e-6)
    between = world.environment_at(np.array([3]), log.timestamp_ms[log.offsets[3:4]] + 1)
    assert between.people.intent.tolist() == [NO_INTENT]
    assert not between.people.had.any()


def test_people_read_back_are_those_at_the_end_of_the_log(feed, world) -> None:
    by_id = np.argsort(feed.user_id)
    for field in dataclasses.fields(LatentUsers):
        np.testing.assert_allclose(
            getattr(world.people, field.name), getattr(feed.people, field.name)[by_id], rtol=1e-6, err_msg=field.name
        )
    for field in dataclasses.fields(LatentCatalogue):
        np.testing.assert_array_equal(
            getattr(world.catalogue, field.name), getattr(feed.catalogue, field.name), err_msg=field.name
        )


def test_chances_are_the_rates_of_many_draws(world) -> None:
    draws, users, items = 4_000, np.arange(5), np.array([0, 30, 60, 90, 120])
    environment = world.environment_of(users)
    environment.people.begin_session(np.random.default_rng(1), environment, users, np.full(5, 14.5))
    drawn = react(np.random.default_rng(0), environment, np.repeat(users, draws), np.repeat(items, draws))
    tasks = ("long_view", "click", "like", "dislike")
    expected = chances(tasks, environment, users, items, above_ms=np.zeros((5, 2)))
    for column, task in enumerate(tasks):
        p = expected[:, column]
        rate = getattr(drawn, task).reshape(-1, draws).mean(axis=1)
        assert (np.abs(rate - p) <= 4.5 * np.sqrt(p * (1 - p) / draws) + 1e-12).all(), task


def test_nothing_that_is_hidden_is_in_the_tables_or_follows_from_their_numbers(feed, config, world) -> None:
    log, known = tables(feed), truth(feed, config)
    hidden = {name for frame in known.values() for name in frame.columns} - {"user_id", "item_id", "timestamp_ms"}
    assert {"vector", "genre", "log_popularity", "path", "intent", "session", "reach", "until_days"} <= hidden
    assert not hidden & {name for frame in log.values() for name in frame.columns}
    # Ids tell nothing: of how much anybody does, of how popular anything is, of where it lies.
    number = np.arange(world.num_items)
    for values in (np.log(world.catalogue.popularity), world.catalogue.quality, world.catalogue.vector[:, 0]):
        assert abs(np.corrcoef(number, values)[0, 1]) < 4 / math.sqrt(len(number))
    activity = np.diff(world.log.offsets)
    assert abs(np.corrcoef(np.arange(world.num_users), activity)[0, 1]) < 4 / math.sqrt(world.num_users)


def test_times_rise_and_lie_in_the_days_of_the_log(feed, config) -> None:
    events = tables(feed)["events"].sort("user_id", "timestamp_ms", maintain_order=True)
    apart = events.select(pl.col("timestamp_ms").diff().over("user_id")).drop_nulls()
    assert apart["timestamp_ms"].min() > 0
    assert events["timestamp_ms"].min() >= config.start_ms
    assert events["timestamp_ms"].max() < config.start_ms + config.days * DAY_MS
    known = truth(feed, config)["impressions"]
    assert known.select("user_id", "item_id", "timestamp_ms").equals(
        tables(feed)["events"].select("user_id", "item_id", "timestamp_ms")
    )


def test_new_people_are_of_the_same_population(world) -> None:
    new = newcomers(world, 600, SEED)

    def facts(of: World) -> dict[str, np.ndarray]:
        usual, log = habits(of), of.log
        return {
            "log events": np.log(usual.activity),
            "days": usual.visit,
            "items a day": usual.items,
            "satisfaction": usual.satisfaction,
            "dislikes": np.bincount(log.user, weights=(log.feedback >> 6) & 1, minlength=of.num_users),
            "aversions": (of.people.reach <= 1).sum(axis=1),
            "taste": of.people.taste[:, 0, 0],
            "readiness": of.people.readiness,
            "eagerness": of.people.eagerness,
        }

    for name, ours in facts(new).items():
        theirs = facts(world)[name]
        error = np.sqrt(ours.var() / len(ours) + theirs.var() / len(theirs))
        assert abs(ours.mean() - theirs.mean()) < 4.5 * error, name
    own = {tuple(row) for row in world.people.taste[:, 0]}
    assert not own & {tuple(row) for row in new.people.taste[:, 0]}
    alone = draw_people(world, 20, child(SEED, 5))
    assert isinstance(alone, LatentUsers)
    assert (alone.intent == NO_INTENT).all()
    assert (alone.reach > 1).all()


def test_people_go_on_after_the_log_and_their_tastes_drift(world) -> None:
    environment = world.environment_of(np.arange(50))
    before = environment.people.taste.copy()
    for day in range(14, 20):
        environment.people.begin_session(np.random.default_rng(day), environment, np.arange(50), np.full(50, day + 0.5))
    cosine = (before * environment.people.taste).sum(axis=-1)
    assert 0.3 < cosine.mean() < 0.99
    assert (environment.people.now == 19.5).all()
    assert (environment.people.intent >= 0).all()
    np.testing.assert_array_equal(world.people.taste[:50], before)


@pytest.mark.parametrize(
    ("setting", "value", "message"),
    [
        ("latent.label_wrong", 0.9, "label_coarse and --config.latent.label_wrong are 1.09 together"),
        ("popularity.new_a_day", 0.08, "the whole catalogue in 14 days"),
        ("policy.follow", 1.5, "--config.policy.follow=1.5: a probability"),
        ("policy.pool", 0, "--config.policy.pool=0: at least 1"),
        ("num_clusters", 2, "at least 3, one that says nothing, and two genres"),
    ],
)
def test_latent_worlds_that_cannot_be_are_refused(setting: str, value: float, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        check(_config(**{setting: value}))


def _recommender(world) -> Recommender:
    items = pl.DataFrame({"item_id": ["", *(str(item) for item in range(world.num_items))]})
    table = np.zeros((world.num_items + 1, 2), np.float32)
    return Recommender(lambda b: b, lambda *state: state, table, items, reading=Reading(8), fingerprint="one")


def test_what_a_feeds_own_aversions_would_be_about_is_similar(world) -> None:
    aversions = true_aversions(_recommender(world), world)
    similarity = aversions.similarity
    of_first = world.catalogue.vector @ world.catalogue.vector[0]
    nearest = np.argsort(-of_first)
    wide = len(nearest) // 4
    slates = 1 + np.stack(
        [np.zeros(wide, int), nearest[:wide], nearest[-wide:]]
    )  # rows of the table, after the padding
    itself, near, far = similarity(slates, np.ones(3, int))
    assert itself == 1 > near > 0 == far
    reach = world.aversions["reach"].to_numpy()
    np.testing.assert_allclose(near, np.mean([(reach <= of_first[item]).mean() for item in nearest[:wide]]))


def test_items_that_are_not_of_the_feed_of_truth_are_told_by_its_flag(world) -> None:
    larger = dataclasses.replace(_recommender(world), items=pl.DataFrame({"item_id": ["", str(world.num_items)]}))
    with pytest.raises(UsageError, match=rf"--recommender: item {world.num_items} is not of --truth; give the world"):
        true_aversions(larger, world)
    known = {"item_id": ["", "0"], "creator_id": ["", str(1 + world.catalogue.creator[0])]}
    with pytest.raises(UsageError, match=r"--recommender: item 0 has creator_id \d+, in --truth \d+; give the world"):
        true_aversions(dataclasses.replace(larger, items=pl.DataFrame(known)), world)


def test_a_config_says_the_kind_of_its_feed(config) -> None:
    assert kinds.of(config) is kinds.LATENT
    assert kinds.of(get_config("tiny")) is kinds.CLUSTERED
    with pytest.raises(UsageError, match=r"num_clusters=2: at least 3, one that says nothing, and two genres"):
        check(_config(num_clusters=2))


def test_a_feed_whose_labels_say_all_has_no_other_truth(world) -> None:
    of_every_feed = {field.name: getattr(world.catalogue, field.name) for field in dataclasses.fields(Catalogue)}
    plain = dataclasses.replace(world, catalogue=Catalogue(**of_every_feed))
    with pytest.raises(UsageError, match=r"--truth: in this feed clusters and creators say all"):
        true_aversions(_recommender(world), plain)
