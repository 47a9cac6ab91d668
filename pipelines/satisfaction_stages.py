"""The stages of satisfaction, to be hung into the graph: all steps of the training, then their measurement.

    prepare -> satisfaction/<protocol>/train -> satisfaction/<protocol>/test
                                             -> satisfaction/<first protocol>/ablations

The training ends with a refit on the validation clicks too: the test is read with what also learned these.

A pipeline's config says which: `satisfaction`, the dataset's name in configs/satisfaction.py, "" or nothing for none,
`satisfaction_protocols`: `leave_one_out` is the paper's, `time` has the scores that other stages may learn from, and
`satisfaction_ablations`: what is trained beside the first one's main model.
"""

from pathlib import Path

from ml_collections import ConfigDict

from pipelines.stage import Stage

FOLDER = "satisfaction"
PROTOCOLS = ("leave_one_out", "time")
ABLATIONS = "ablations"


def satisfaction_protocols(config: ConfigDict) -> tuple[str, ...]:
    """The protocols that a pipeline trains under, the one to be shown first; none where it has no satisfaction."""
    return tuple(config.satisfaction_protocols) if config.satisfaction else ()


def satisfaction_stages(config: ConfigDict, workdir: Path, timelines: Path) -> list[Stage]:
    """Training and measurement under each protocol; the ablations under the first."""
    found = []
    for protocol in satisfaction_protocols(config):
        folder = workdir / FOLDER / protocol
        train = Stage(
            name=f"{FOLDER}/{protocol}/train",
            module="satisfaction.train",
            folder=folder / "train",
            config=f"configs/satisfaction.py:{config.satisfaction}",
            flags=(f"--config.protocol={protocol}", "--config.align.refit=True", f"--data={timelines}"),
            inputs=(timelines / "manifest.json",),
            outputs=(folder / "train" / "metrics.json", folder / "train" / "scores" / "manifest.json"),
        )
        test = Stage(
            name=f"{FOLDER}/{protocol}/test",
            module="satisfaction.evaluate",
            folder=folder / "test",
            flags=(f"--data={timelines}", f"--checkpoint={train.folder}"),
            inputs=(timelines / "manifest.json", *train.outputs),
            outputs=tuple(folder / "test" / name for name in ("metrics.json", "per_user.npz", "examples.json")),
        )
        first = protocol == satisfaction_protocols(config)[0]
        found += [
            train,
            test,
            *([_ablations(config, train, timelines)] if first and config.satisfaction_ablations else []),
        ]
    return found


def _ablations(config: ConfigDict, train: Stage, timelines: Path) -> Stage:
    asked, folder = config.satisfaction_ablations, train.folder.with_name(ABLATIONS)
    return Stage(
        name=f"{FOLDER}/{train.folder.parent.name}/{ABLATIONS}",
        module="satisfaction.ablate",
        folder=folder,
        flags=(
            f"--data={timelines}",
            f"--run={train.folder}",
            f"--what={','.join(asked.what)}",
            f"--click_losses={','.join(asked.click_losses)}",
            f"--seeds={asked.seeds}",
            *(["--refit"] if asked.refit else []),
        ),
        inputs=(timelines / "manifest.json", *train.outputs),
        outputs=(folder / "metrics.json",),
    )
