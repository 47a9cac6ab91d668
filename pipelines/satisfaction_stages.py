"""The stages of satisfaction, to be hung into the graph: all steps of the training, then their measurement.

    prepare -> satisfaction/<protocol>/train -> satisfaction/<protocol>/test

The training ends with a refit on the validation clicks too: the test is read with what also learned these.

A pipeline's config says which: `satisfaction`, the dataset's name in configs/satisfaction.py, "" or nothing for none,
and `satisfaction_protocols`: `leave_one_out` is the paper's, `time` has the scores that other stages may learn from.
"""

from pathlib import Path

from ml_collections import ConfigDict

from pipelines.stage import Stage

FOLDER = "satisfaction"
PROTOCOLS = ("leave_one_out", "time")


def satisfaction_protocols(config: ConfigDict) -> tuple[str, ...]:
    """The protocols that a pipeline trains under, the one to be shown first; none where it has no satisfaction."""
    return tuple(config.satisfaction_protocols) if config.satisfaction else ()


def satisfaction_stages(config: ConfigDict, workdir: Path, timelines: Path) -> list[Stage]:
    """Training and measurement under each protocol."""
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
        found += [train, test]
    return found
