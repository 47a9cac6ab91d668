"""Settings of stages, as a pipeline is given them: `--config.stages.retrieval.num_epochs=3` is `--config.num_epochs=3`
of every stage of configs/retrieval.py.

A setting reaches each stage whose config has it, but where that stage's own variant decides it: what
`no_dislike_signal` reads is no setting. Advice goes the other way: what a stage's error tells the user to type is
turned into what the pipeline takes.
"""

import re
from dataclasses import replace

from ml_collections import ConfigDict

from pipelines.graph.configs import config_of
from pipelines.graph.stage import Stage
from runtime.config import flat
from runtime.errors import UsageError
from training.settings import COUNT, NOT_NEGATIVE, SHARE, TRAINING
from training.settings import check as check_kinds

_GROUPS = {"data": "prepare"}  # configs/data.py; the others are called like their file
_ADVICE = re.compile(r"--config\.((?!stages\.)[A-Za-z_]\w*)((?:\.\w+)*)")
_FLAGS = {"--nolightgbm": "--config.lightgbm=False"}  # what else stages advise


# Of the pipeline itself, and of its stages: what stages would refuse after hours is refused before anything runs.
_OF_PIPELINE = {
    "keep_recall": SHARE,
    "keep_recall_said_no": SHARE,
    "ranking_seeds": COUNT,
    "satisfaction_weight": NOT_NEGATIVE,
    "aa_tests": COUNT,
}
_OF_STAGES = {**TRAINING, "slate_size": COUNT, "users": COUNT}  # what means the same in each; stages check the rest


def check(config: ConfigDict) -> None:
    """Errors: UsageError names the first number of the pipeline, or of `config.stages`, that it cannot be."""
    check_kinds(config, _OF_PIPELINE)
    trained = (*config.plain, *config.sweeps)
    if config.serve not in trained:
        raise UsageError(f"--config.serve={config.serve}: the pipeline '{config.name}' trains {', '.join(trained)}")
    if config.serve in config.sweeps and not config.sweeps[config.serve].reference:
        raise UsageError(
            f"--config.serve={config.serve}: no model of its kind without negative labels is trained, to hold it up "
            "against; serve another"
        )
    for name, settings in config.stages.items():
        given = ConfigDict({setting: value for setting, value in settings.items() if value is not None})
        check_kinds(given, _OF_STAGES, flag=f"--config.stages.{name}")


def group(stage: Stage) -> str:
    """The settings that the stage takes, by their name in `stages`; "" where it has no config."""
    file = stage.config.partition(":")[0].removeprefix("configs/").removesuffix(".py")
    return _GROUPS.get(file, file)


def with_settings(stage: Stage, config: ConfigDict) -> Stage:
    """The stage, with the settings of `config.stages` among its flags."""
    given = config.stages.get(group(stage)) if stage.config else None
    if not given:
        return stage
    of_stage, usual = (dict(flat(config_of(name))) for name in (stage.config, stage.config.partition(",")[0]))
    flags = {
        f"config.{setting}": str(value)
        for setting, value in flat(given)
        if value is not None and setting in of_stage and of_stage[setting] == usual[setting]
    }
    return replace(stage, flags={**flags, **stage.flags})


def typed(text: str, stage: Stage, config: ConfigDict) -> str:
    """What a stage has said, with every setting that it names as this pipeline takes it."""

    def as_typed(match: re.Match[str]) -> str:
        # ranking.evaluate has no config of its own, but its folder's settings are those that it speaks of.
        own = group(stage) or stage.module.partition(".")[0]
        groups = [own, *(other for other in config.stages if other != own)]
        taker = next((name for name in groups if match[1] in config.stages.get(name, ())), None)
        return f"--config.stages.{taker}.{match[1]}{match[2]}" if taker else match[0]

    for flag, instead in _FLAGS.items():
        text = text.replace(flag, instead)
    return _ADVICE.sub(as_typed, text)
