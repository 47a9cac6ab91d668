"""What a log can carry, by what was measured of it: each kind of log has a plan, or is refused before any training."""

import dataclasses

import pytest

from configs import pipeline
from pipelines.graph.configs import config_of
from pipelines.planning import fitted
from pipelines.registry import stages
from pipelines.systems.feed.log import Log
from pipelines.systems.response.stages import config_name
from pipelines.systems.retrieval.needs import LEAST_LABELS, LEAST_SHARE
from pipelines.systems.retrieval.stages import variants
from runtime.errors import DataError, UsageError
from tests.logs.made_up_log import EVENTS, log_of


def planned(log: Log, name: str = "tables"):
    """Names of models and of stages, and all that is left out, in words."""
    config, left_out = fitted(pipeline.get_config(name), log)
    names = [stage.name for stage in stages(config, data=None)] if config.world else None
    return config, {variant.signals for variant in variants(config)}, names, " ".join(map(str, left_out))


def test_clicks_alone_train_one_model_and_nothing_is_said_to_learn_from_dislikes() -> None:
    config, models, _, said = planned(log_of(click=EVENTS))
    assert models == {"no_dislike_signal"}
    assert (config.serve, config.ranking, config.counterfactual) == ("no_dislike_signal", "", "")
    for part in ("a column `dislike`", "learn from skips", "`play_ms`", "the ranker", "nothing in the log is a no"):
        assert part in said


def test_play_times_alone_learn_from_skips_without_reading_dislikes() -> None:
    log = log_of(positive="long_view", tasks=("EVV", "FVV", "GVV"), long_view=3_000, skip=2_000)
    config, models, _, said = planned(log)
    assert models == {"no_dislike_signal", "skip_label_alone"}
    assert config.serve == "skip_label_alone"
    assert config.sweeps.skip_label_alone.reference == "no_dislike_signal"
    assert config.stages.counterfactual.branches[0] == "skip"
    assert config.ranking
    assert "a column `dislike`" in said
    assert "learn from skips" not in said


def test_likes_and_dislikes_have_no_skips() -> None:
    log = log_of(positive="like", tasks=("like", "dislike"), like=6_000, dislike=2_000)
    config, models, _, said = planned(log)
    assert models == {"dislike_input", "dislike_input_and_label"}
    assert config.serve == "dislike_input_and_label"
    assert config.stages.ranking.tasks is None  # the ranker's own choice is these
    assert not said
    _, models, _, said = planned(log, "tables_full")
    assert not {"skip_label", "softmax_negatives"} & models
    assert "learn from skips" in said


def test_people_of_a_log_without_play_times_are_simulated_without_any() -> None:
    noes = {"like": 6_000, "dislike": 2_000}
    log = log_of(positive="like", tasks=("like", "dislike"), **noes)
    config, _, _, _ = planned(log)
    simulated = config_of(f"configs/counterfactual.py:{config.counterfactual}")
    assert (simulated.baseline, simulated.branches) == ("met", ("met+dislike",))
    assert {*simulated.behaviours} == {"met", "met+like"}
    with_plays, _, _, _ = planned(log_of(positive="like", tasks=("like", "dislike"), skip=500, **noes))
    assert config_of(f"configs/counterfactual.py:{with_plays.counterfactual}").baseline == "long_watch"
    own = pipeline.get_config("tables")
    own.stages.counterfactual.branches = ("met+dislike*3",)
    assert fitted(own, log)[0].counterfactual == own.counterfactual


def test_without_play_times_people_of_the_log_are_asked_and_no_others() -> None:
    config = pipeline.get_config("movielens_100k")
    config.experiments.undo = ("served",)
    log = log_of(positive="like", tasks=("like", "dislike"), like=6_000, dislike=2_000)
    found, left_out = fitted(config, log)
    assert list(found.experiments) == ["replayed"]
    assert "the closer look at a response" in [of.what for of in left_out]
    asked = config_name("replayed", found.counterfactual)
    assert asked == "configs/counterfactual.py:standard,without_play_times"


def test_a_log_with_all_of_it_loses_nothing() -> None:
    config = pipeline.get_config("tables")
    tasks = ("EVV", "FVV", "GVV")
    found, left_out = fitted(config, log_of(tasks=tasks, click=5_000, skip=3_000, dislike=500))
    assert left_out == []
    assert {v.name for v in variants(found)} == {v.name for v in variants(config)}


@pytest.mark.parametrize(("dislikes", "learned"), [(LEAST_LABELS - 1, False), (LEAST_LABELS, True)])
def test_too_few_dislikes_are_read_and_not_learned_from(dislikes: int, learned: bool) -> None:
    log = log_of(click=5_000, skip=3_000, dislike=dislikes)
    log = dataclasses.replace(
        log, traits=dataclasses.replace(log.traits, feedback={**log.traits.feedback, "dislike": 1})
    )
    _, models, _, said = planned(log)
    assert "dislike_input" in models
    assert ("dislike_input_and_label" in models) == learned
    assert ("skip_label" in models) != learned  # in their place
    assert ("too few to learn from" in said) != learned


@pytest.mark.parametrize("name", ["tables", "tables_full", "demo_latent_rare", "kuairand_pure"])
def test_rare_dislikes_teach_among_the_negatives(name: str) -> None:
    log = log_of(click=5_000, skip=3_000, dislike=LEAST_LABELS)
    feedback = {**log.traits.feedback, "dislike": LEAST_SHARE / 2}
    log = dataclasses.replace(log, traits=dataclasses.replace(log.traits, feedback=feedback))
    config, models, _, said = planned(log, name)
    assert config.serve == "softmax_negatives"
    assert config.sweeps[config.serve].reference == "dislike_input"
    assert tuple(config.sweeps[config.serve].weights) == (1000.0, 10000.0)
    assert not {model for model in models if model.startswith("dislike_input_and_label")}
    listed = name == "kuairand_pure"  # which says so itself: nothing is left out
    assert ("the not-to-recommend term of dislikes" in said) != listed
    assert "are still read" not in said


@pytest.mark.parametrize(
    ("log", "said"),
    [
        (log_of(dislike=EVENTS), "no event of the training days, after its user's first, is a click, only dislike"),
        (log_of(click=EVENTS, items=100), "the log has 100 items"),
        (
            dataclasses.replace(log_of(click=EVENTS), unmet={"valid": 3, "test": 0}),
            "--config.stages.prepare.test_start",
        ),
    ],
)
def test_what_nothing_can_be_learned_from_is_refused_with_what_to_do(log: Log, said: str) -> None:
    with pytest.raises(DataError) as refused:
        planned(log)
    assert said in str(refused.value)


def test_slates_and_histories_fit_into_a_small_catalogue() -> None:
    config, _, _, said = planned(log_of(items=120, click=5_000, skip=3_000, dislike=500))
    chosen = config.stages.counterfactual
    assert (chosen.slate_size, chosen.k) == (30, 30)  # a quarter each
    assert "the log has 120 items; it takes 150 of them; slates of 30 after 30 stand in" in said


def test_a_task_of_one_answer_is_left_out_of_the_ranker_or_refused_where_it_was_asked_for() -> None:
    log = dataclasses.replace(
        log_of(click=5_000, like=5_000, positive="like"), possible=("click", "like"), tasks=("click",)
    )
    config, left_out = fitted(pipeline.get_config("tables"), log)
    assert config.stages.ranking.tasks == ("click",)
    assert any("tasks like" in lost.what for lost in left_out)
    asked = pipeline.get_config("tables")
    asked.stages.ranking.tasks = ("like",)
    with pytest.raises(UsageError, match=r"--config\.stages\.ranking\.tasks=\('like',\): like has one answer alone"):
        fitted(asked, log)


def test_what_hangs_on_a_model_that_is_gone_goes_with_it() -> None:
    config, models, names, said = planned(log_of(click=EVENTS), "tiny")
    assert models == {"no_dislike_signal"}
    assert names is not None
    assert {name.partition("/")[0] for name in names} == {
        *("world", "prepare", "ceiling", "train", "validate", "test", "serve", "report"),
    }
    assert not any(config[system] for system in ("gate", "experiments", "ab_test", "off_policy", "satisfaction"))
    assert "the gate" in said
