"""What the A/B tests and the off-policy check need: two trained arms, and items that were shown at random."""

from collections.abc import Iterator

from ml_collections import ConfigDict

from pipelines.systems.ab.stages import AB_RANKED, AB_TEST, OFF_POLICY
from pipelines.systems.feed.log import Log
from pipelines.systems.left_out import LeftOut


def fit(config: ConfigDict, log: Log) -> Iterator[LeftOut]:
    """Leaves out arms that are not trained, tests without two arms, and the check without random exposures."""
    trained = (*config.plain, *config.sweeps)
    arms = [config.plain[0], config.serve, *config.ab_arms]
    config.ab_arms = tuple(dict.fromkeys(arm for arm in arms if arm in trained))
    if len(config.ab_arms) < 2 and any(config[name] for name in (AB_TEST, AB_RANKED, OFF_POLICY)):
        config[AB_TEST] = config[AB_RANKED] = config[OFF_POLICY] = ""
        yield LeftOut("tests of models against each other", "there is one model alone", "a no to learn from")
    if config[OFF_POLICY] and not log.random:
        config[OFF_POLICY] = ""
        yield LeftOut(
            "off-policy estimates",
            "no event of the test days was shown at random",
            "a column `randomly_exposed` in events, 1 where chance chose the item",
        )
