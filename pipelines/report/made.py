"""The report's last section: when, how long and from which commit each stage ran, and the packages' versions."""

import time

from pipelines.graph.records import COMMAND, STATE
from pipelines.report.run_folder import Run
from pipelines.report.section import Section
from runtime.artifact import read_json


def section(run: Run) -> Section | None:
    """Nothing where the stages were not run by the engine; nor anything of the report, as it is being made."""
    files = (run.workdir / STATE / "stages").glob("*.json")
    records = sorted((read_json(file) for file in files), key=lambda record: record["began"])
    made = [
        {**record, "began": time.strftime("%Y-%m-%d %H:%M", time.gmtime(record["began"]))}
        for record in records
        if record["stage"] != "report"
    ]
    versions = {
        name.removeprefix("package "): version
        for record in made
        for name, version in record["recipe"].items()
        if name.startswith("package ")
    }
    parts = {"made": made, "versions": sorted(versions.items()), "command": run.json(str(COMMAND))}
    parts["commits"] = sorted({record["commit"] for record in made} - {""})
    template = "report/made.html.j2"
    return Section(anchor="made", title="How it was made", template=template, parts=parts) if made else None
