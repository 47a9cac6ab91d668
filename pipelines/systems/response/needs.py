"""What the experiments on a response need of a log: dislikes, enough clusters, and enough items for their slates."""

from collections.abc import Iterator

from ml_collections import ConfigDict

from pipelines.graph.configs import config_of
from pipelines.systems.feed.log import Log
from pipelines.systems.left_out import LeftOut
from pipelines.systems.response.stages import RANKED, REPLAYED, config_name
from simulation.counterfactual.courses import room, with_baselines
from simulation.counterfactual.settings import most_events


def fit(config: ConfigDict, log: Log) -> Iterator[LeftOut]:
    """Leaves out the experiments that this log, or what is left of the models, cannot carry."""
    if not config.experiments:
        return
    if config.serve not in config.sweeps or not config.counterfactual or not log.happened["train"]["dislike"]:
        config.experiments = ConfigDict()
        yield LeftOut(
            "the closer look at a response", "no served model has a no to respond to", "dislikes to learn from"
        )
        return
    if not log.traits.play_times and (by_watches := [name for name in config.experiments if name != REPLAYED]):
        for experiment in by_watches:
            del config.experiments[experiment]
        yield LeftOut(
            "the closer look at a response", "it is asked by watches, and the log has no play times", "`play_ms`"
        )
    for experiment in list(config.experiments):
        if why := _lacking(experiment, config, log):
            del config.experiments[experiment]
            yield LeftOut(f"the experiment {experiment}", why, "`cluster_id` in a table of items, or more items")


def _lacking(experiment: str, config: ConfigDict, log: Log) -> str:
    asked = config_of(config_name(experiment, config.counterfactual))
    own, others = room(with_baselines(asked.baseline, asked.branches)[0])
    if own + others > 1 and not log.traits.clusters:
        return "the log knows no clusters of items"
    if others and others >= log.clusters:
        return f"the log knows {log.clusters} clusters, and {others} others are said no to"
    length = config.stages.retrieval.length or config_of(f"configs/retrieval.py:{config.retrieval}").length
    slate = max((config.stages.counterfactual.slate_size or asked.slate_size, *asked.sweep_slate_size))
    if experiment == RANKED:
        slate = max(slate, config.ranked.candidates)
    if slate + most_events(asked, length) > log.items:
        return f"the log has {log.items} items, too few for its slates"
    return ""
