"""Settings of stages: they reach the stages that have them and no others, and advice is given as it can be typed."""

import subprocess
import sys
from pathlib import Path

import pytest

from configs import pipeline
from pipelines.graph.stage import Stage
from pipelines.registry import stages
from pipelines.settings import check, typed
from runtime.errors import UsageError

ROOT = Path(__file__).resolve().parent.parent.parent


def _with(config, **given) -> dict[str, list[str]]:
    """Stage -> its flags, as they are typed, where `given` is set."""
    for name, value in given.items():
        group, _, setting = name.partition("__")
        config.stages[group][setting] = value
    return {stage.name: stage.command(str) for stage in stages(config, data=None)}


@pytest.mark.parametrize(
    ("setting", "value", "flag", "first_parts"),
    [
        ("prepare__valid_start", "2026-05-03", "--config.valid_start=2026-05-03", {"prepare"}),
        ("prepare__quarantine", True, "--quarantine", {"prepare"}),
        ("prepare__max_quarantine", "5%", "--max_quarantine=5%", {"prepare"}),
        ("ranking__tasks", ("click",), "--config.tasks=('click',)", {"ranking"}),
        ("ranking__num_epochs", 3, "--config.num_epochs=3", {"ranking"}),
        ("counterfactual__slate_size", 9, "--config.slate_size=9", {"counterfactual", "responsiveness"}),
        ("world__num_users", 77, "--config.num_users=77", {"world"}),
        ("off_policy__slate_size", 7, "--config.slate_size=7", {"off_policy"}),
    ],
)
def test_a_setting_reaches_its_stages_and_no_others(setting, value, flag, first_parts) -> None:
    commands = _with(pipeline.get_config("tiny"), **{setting: value})
    assert {name.partition("/")[0] for name, words in commands.items() if flag in words} == first_parts


def test_a_setting_within_a_setting_reaches_them_too() -> None:
    config = pipeline.get_config("tiny")
    config.stages.retrieval.export.recall_floor = 0.5
    assert "--config.export.recall_floor=0.5" in _with(config)["serve"]


def test_what_a_variant_decides_is_no_setting_of_its_stages() -> None:
    commands = _with(pipeline.get_config("tiny"), retrieval__input_feedback=("like", "share"), counterfactual__k=6)
    assert not any("input_feedback" in word for word in commands["train/no_dislike_signal"])
    assert "--config.k=6" in commands["counterfactual/dislike_input"]
    assert "--config.k=6" not in commands["responsiveness/memory/served"]  # four fifths of the usual


def test_nothing_set_changes_no_command() -> None:
    config = pipeline.get_config("tiny")
    assert not any(word.startswith("--config.") for word in _with(config)["ranking/train/full"])


@pytest.mark.parametrize(
    ("stage", "said", "as_typed"),
    [
        (
            Stage(name="prepare", module="data.prepare", config="configs/data.py:tables"),
            "leak: move --config.valid_start or --config.test_start",
            "leak: move --config.stages.prepare.valid_start or --config.stages.prepare.test_start",
        ),
        # A setting of another stage is given by that stage's name.
        (
            Stage(name="validate/x", module="retrieval.evaluate", config="configs/retrieval.py:tables,skip_label"),
            "prepare it with an earlier --config.valid_start",
            "prepare it with an earlier --config.stages.prepare.valid_start",
        ),
        # Of a name that several have it is the stage's own, also where the stage has no config.
        (
            Stage(name="ranking/test", module="ranking.evaluate"),
            "lower --config.learning_rate; or run with --nolightgbm",
            "lower --config.stages.ranking.learning_rate; or run with --config.lightgbm=False",
        ),
        (
            Stage(name="serve", module="retrieval.export", config="configs/retrieval.py:tables,skip_label"),
            "under --config.export.recall_floor=0.95",
            "under --config.stages.retrieval.export.recall_floor=0.95",
        ),
        (Stage(name="gate", module="pipelines.gate"), "see --config.gate.limit", "see --config.gate.limit"),
    ],
)
def test_advice_of_a_stage_is_given_as_the_pipeline_takes_it(stage: Stage, said: str, as_typed: str) -> None:
    assert typed(said, stage, pipeline.get_config("tables")) == as_typed


@pytest.mark.parametrize(
    ("flag", "nearest"),
    [
        ("--config.stages.prepare.valid_strat=x", "did you mean --config.stages.prepare.valid_start?"),
        ("--config.num_epochs=3", "did you mean --config.stages.ranking.num_epochs or "),
        ("--config.stages.retrieval.learning_rat=3", "did you mean --config.stages.retrieval.learning_rate?"),
        ("--config.finl=True", "did you mean --config.final?"),
    ],
)
def test_a_setting_that_does_not_exist_is_refused_with_the_nearest(flag: str, nearest: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipelines.run", "--config=configs/pipeline.py:tables", f"--data={tmp_path}"]
    command += [f"--workdir={tmp_path / 'run'}", flag]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert nearest in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_a_model_that_is_asked_for_and_not_trained_is_refused() -> None:
    config = pipeline.get_config("demo")
    config.serve = "skip_labels"
    with pytest.raises(
        UsageError, match=r"--config\.serve=skip_labels: the pipeline 'demo' trains no_dislike_signal, "
    ):
        check(config)


def test_a_number_that_no_pipeline_can_have_is_refused_before_its_stages_are_made(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pipelines.run", "--config=configs/pipeline.py:tiny", "--config.ranking_seeds=0"]
    done = subprocess.run(
        [*command, f"--workdir={tmp_path / 'run'}"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "pipelines.run: --config.ranking_seeds=0: must be at least 1\n"
    assert not (tmp_path / "run").exists()


def test_a_setting_that_each_stage_takes_its_own_way_is_left_to_the_stage() -> None:
    config = pipeline.get_config("tiny")
    config.stages.ranking.hidden = (16, 8)  # of layers there, a number in retrieval
    config.stages.retrieval.hidden = 32
    check(config)
