"""What a test of a dataset's reader needs: its files prepared, and a tiny model trained on them, by the binaries."""

import json
from collections.abc import Mapping
from pathlib import Path

from tests.helpers import command_line

# Without the memory of what was said no to, which takes as long to compile as all the rest.
_SIGNALS = "dislike_input_and_label_paper_tower"


def learned(name: str, folder: Path, *, workdir: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Prepares the dataset `name` in `folder` and trains retrieval on it; returns the metrics.json of both."""
    prepared, trained = all_learned({name: folder}, {name}, workdir=workdir)
    return prepared[name], trained[name]


def all_learned(
    folders: Mapping[str, Path], train: set[str], *, workdir: Path
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """Prepares several datasets, by name, and trains on some, for the price of one start; the metrics.json of each."""
    commands = {}
    for name, folder in folders.items():
        made = workdir / name
        prepare = ["data.prepare", f"--config=configs/data.py:{name}", f"--data={folder}"]
        commands[f"{name}.prepare"] = [*prepare, f"--workdir={made / 'timelines'}"]
        if name in train:
            config = f"--config=configs/retrieval.py:{name}_short,{_SIGNALS}"
            learn = ["retrieval.train", config, f"--data={made / 'timelines'}"]
            commands[f"{name}.train"] = [*learn, f"--workdir={made / 'retrieval'}"]
    for command, ended in command_line.run(commands, preload=("data.assembly", "retrieval.run")).items():
        assert ended.status == 0, f"{command}: {ended.stderr}"

    def metrics(name: str, stage: str) -> dict[str, float]:
        return json.loads((workdir / name / stage / "metrics.json").read_text())

    prepared = {name: metrics(name, "timelines") for name in folders}
    return prepared, {name: metrics(name, "retrieval") for name in train}
