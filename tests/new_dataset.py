"""What a test of a dataset's reader needs: its files prepared, and a tiny model trained on them, by the binaries."""

import json
from pathlib import Path

from tests import command_line


def learned(name: str, folder: Path, *, workdir: Path) -> tuple[dict[str, float], dict[str, float]]:
    """Prepares the dataset `name` in `folder` and trains retrieval on it; returns the metrics.json of both."""
    timelines, model = workdir / "timelines", workdir / "retrieval"
    prepare = ["data.prepare", f"--config=configs/data.py:{name}", f"--data={folder}"]
    train = ["retrieval.train", f"--config=configs/retrieval.py:{name}_short", f"--data={timelines}"]
    done = command_line.run(
        {"prepare": [*prepare, f"--workdir={timelines}"], "train": [*train, f"--workdir={model}"]},
    )
    for command, ended in done.items():
        assert ended.status == 0, f"{command}: {ended.stderr}"
    prepared, trained = (json.loads((path / "metrics.json").read_text()) for path in (timelines, model))
    return prepared, trained
