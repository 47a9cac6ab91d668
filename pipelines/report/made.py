"""The report's last section: when, how long and from which commit each stage ran, and the packages' versions."""

import time

from pipelines.graph.records import COMMAND, record_of
from pipelines.registry import planned
from pipelines.report.run_folder import Run
from pipelines.report.section import Section


def section(run: Run) -> Section | None:
    """The stages that the pipeline has, but the report's own; nothing where they were not run by the engine."""
    found = (record for name in planned(run.config) if (record := run.json(str(record_of(name)))))
    made = [
        {**record, "began": time.strftime("%Y-%m-%d %H:%M", time.gmtime(record["began"]))}
        for record in sorted(found, key=lambda record: record["began"])
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
