"""Fits a pipeline to its log: what the prepared log cannot carry is left out before anything is trained, and said.

Each system says itself what it asks of a log, in its `needs.py`; whoever adds one that asks for something names it
here.
"""

from ml_collections import ConfigDict

from pipelines.systems.ab import needs as ab
from pipelines.systems.feed.log import Log
from pipelines.systems.left_out import LeftOut
from pipelines.systems.ranking import needs as ranking
from pipelines.systems.response import needs as response
from pipelines.systems.retrieval import needs as retrieval
from pipelines.systems.satisfaction import needs as satisfaction
from pipelines.systems.serving import needs as serving

# Each sees what those before it have left.
NEEDS = (retrieval, satisfaction, ranking, response, serving, ab)


def fitted(config: ConfigDict, log: Log) -> tuple[ConfigDict, list[LeftOut]]:
    """A pipeline that `log` can carry, and what it leaves out of `config`.

    Errors: DataError where nothing can be learned; UsageError where what was asked for by hand cannot be.
    """
    carried = ConfigDict(config.to_dict())
    left_out = [lost for system in NEEDS for lost in system.fit(carried, log)]
    return carried, left_out
