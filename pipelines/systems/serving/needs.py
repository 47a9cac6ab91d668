"""What the gate needs: a served model that learns from a no, and one without to compare it with."""

from collections.abc import Iterator

from ml_collections import ConfigDict

from pipelines.systems.feed.log import Log
from pipelines.systems.left_out import LeftOut
from pipelines.systems.retrieval.needs import NO_NO


def fit(config: ConfigDict, log: Log) -> Iterator[LeftOut]:
    """Leaves out the gate where there is nothing to judge."""
    if config.gate and (config.serve not in config.sweeps or not config.counterfactual):
        config.gate = ConfigDict()
        yield LeftOut("the gate", "the served model has no no to respond to", NO_NO)
