"""The page of what benchmarks found, benchmarks/RESULTS.md, of the same figures as the JSON beside it."""

import datetime
import os
import platform
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from pipelines.graph.process import commit
from runtime import cores

_RATIOS = (
    "A bold ratio is of Heed against another; above 1 is in Heed's favour. One that is not bold is of Heed against",
    "itself: at another size, in another way, or against a part of it; above 1, the left figure is the better one.",
    "In brackets, where the two took turns: the least and the largest ratio of a turn.",
)
_LIBRARIES = ("jax", "flax", "optax", "numpy", "scann", "torch", "faiss-cpu", "hnswlib")


def circumstances(*, quick: bool, log: str) -> dict[str, str]:
    """Machine, versions, date and commit."""
    memory, made_at = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, commit()
    return {
        "machine": f"{_processor()}, {cores.count()} cores, {memory:.0f} GiB",
        "versions": ", ".join([f"Python {platform.python_version()}", *(_version(name) for name in _LIBRARIES)]),
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "commit": made_at[:7] + "+" * made_at.endswith("+") or "unknown",
        "log": log,
        "size": "quick: tests the commands, measures nothing" if quick else "full",
    }


def page(results: Mapping[str, Any]) -> str:
    """Markdown of {"circumstances": …, "benchmarks": […]}, which benchmarks/results.json holds."""
    lines = ["# Results", "", "Made by `make bench`, never edited.", "", *_RATIOS, "", "| | |", "|---|---|"]
    lines += [f"| {name} | {_cell(value)} |" for name, value in results["circumstances"].items()]
    minutes = sum(one["seconds"] for one in results["benchmarks"]) / 60
    lines += [f"| took | {minutes:.0f} minutes, {len(results['benchmarks'])} benchmarks |"]
    for one in results["benchmarks"]:
        lines += ["", f"## {one['name']}", "", f"`{one['command']}`", ""]
        if one["rows"]:
            lines += ["| what | unit | Heed | beside it | | ratio | |", "|---|---|---|---|---|---|---|"]
            lines += [_row(row) for row in one["rows"]]
            lines += [""]
        if one["failure"]:
            lines += [f"**Failed**: {_cell(one['failure'])}", ""]
        cores_of = "one core" if one["cores"] == 1 else f"{one['cores']} cores"
        lines += [f"{cores_of}, {one['seconds']:,.0f} s, peak memory {one['peak_mib']:,} MiB"]
    return "\n".join(lines) + "\n"


def _row(row: Mapping[str, Any]) -> str:
    ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}x"
    if ratio and not row["own"]:
        ratio = f"**{ratio}**"
    if row["turns"]:
        ratio += f" ({min(row['turns']):.2f} to {max(row['turns']):.2f})"
    cells = [row["what"], row["unit"], figure(row["ours"]), figure(row["peer"]), row["against"], ratio, row["note"]]
    return "| " + " | ".join(map(_cell, cells)) + " |"


def figure(value: float | None) -> str:
    """Three digits, or all before the point where there are more."""
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _version(name: str) -> str:
    try:
        return f"{name} {metadata.version(name)}"
    except metadata.PackageNotFoundError:
        return f"{name} not installed"
