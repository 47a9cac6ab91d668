"""The stages of satisfaction: all steps of the training, then their measurement.

    prepare -> satisfaction/<protocol>/train -> satisfaction/<protocol>/test
                                             -> satisfaction/<first protocol>/ablations

The training ends with a refit on the validation clicks too: the test is read with what also learned these.

A pipeline's config says which: `satisfaction`, the dataset's name in configs/satisfaction.py, "" or nothing for none,
`satisfaction_protocols`: `leave_one_out` is the paper's, `time` has the scores that other stages may learn from, and
`satisfaction_ablations`: what is trained beside the first one's main model.
"""

from pathlib import Path

from ml_collections import ConfigDict

from pipelines.graph.stage import Stage
from pipelines.systems.feed.stages import LOG, TIMELINES

FOLDER, ABLATIONS = "satisfaction", "ablations"
_AIM = "what satisfies, from the few who answer"
# Of the protocol whose scores have not seen the days on which rankers are measured.
SCORES = Path(FOLDER) / "time" / "train" / "scores"


def satisfaction_protocols(config: ConfigDict) -> tuple[str, ...]:
    """The protocols that a pipeline trains under, the one to be shown first; none where it has no satisfaction."""
    return tuple(config.satisfaction_protocols) if config.satisfaction else ()


def stages(config: ConfigDict) -> list[Stage]:
    """Training and measurement under each protocol; the ablations under the first."""
    planned = []
    for protocol in satisfaction_protocols(config):
        name = f"{FOLDER}/{protocol}"
        train = Stage(
            name=f"{name}/train",
            module="satisfaction.train",
            config=f"configs/satisfaction.py:{config.satisfaction}",
            flags={"config.protocol": protocol, "config.align.refit": True, "data": TIMELINES},
            inputs=(LOG,),
            writes=("metrics.json", "scores/manifest.json"),
            aim=_AIM,
            effort=4.0,
        )
        test = Stage(
            name=f"{name}/test",
            module="satisfaction.evaluate",
            flags={"data": TIMELINES, "checkpoint": train.folder},
            inputs=(LOG, *train.outputs),
            writes=("metrics.json", "per_user.npz", "examples.json"),
            aim=_AIM,
        )
        planned += [train, test]
        if config.satisfaction_ablations and protocol == satisfaction_protocols(config)[0]:
            ablate = Stage(
                name=f"{name}/{ABLATIONS}",
                module="satisfaction.ablate",
                flags={"data": TIMELINES, "run": train.folder, **config.satisfaction_ablations.to_dict()},
                inputs=(LOG, *train.outputs),
                aim=_AIM,
                effort=8.0,
            )
            planned.append(ablate)
    return planned
