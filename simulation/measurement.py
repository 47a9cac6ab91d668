"""One measurement of responsiveness, from exported recommender to files: the work of `simulation.counterfactual`."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from data.timelines import Timelines
from runtime.artifact import read_json, write_json
from runtime.errors import FellShortError
from runtime.workdir import METRICS, is_complete, open_workdir
from simulation import gate as gates
from simulation import histories as pasts
from simulation import responsiveness, similarity
from simulation.branching import with_baselines
from simulation.examples import examples
from simulation.gate import Gate
from simulation.recommender import Recommender, load
from simulation.responsiveness import Outcome
from simulation.settings import check
from simulation.trajectories import Plan, Slates, Trajectories, draw_plan
from simulation.user_model import living_users
from simulation.world_state import open_world


def run(
    config: ConfigDict,
    recommender_path: str,
    workdir: str | None,
    *,
    world: str | None = None,
    data: str | None = None,
    histories: str | None = None,
    similarity_vectors: str | None = None,
    gate: Gate | None = None,
) -> None:
    """The whole measurement, from an exported recommender to the files in `workdir`.

    Errors: UsageError and DataError of the parts; FellShortError where the model does not pass `gate`.
    """
    gate = gate or Gate()
    gate.check()
    recommender = load(recommender_path)
    check(config, recommender)
    other = load(similarity_vectors, flag="--similarity_vectors") if similarity_vectors else None
    vectors = similarity.independent_vectors(recommender, other) if other else None
    measure = similarity.measures(recommender.items, vectors)
    sources = {"world": world, "data": data, "histories": histories}
    # Settings left as they are keep the workdirs of runs that did not know them.
    identity: dict[str, Any] = {"config": config.to_dict(), "recommender": recommender.fingerprint}
    identity |= {name: _digest(path) for name, path in sources.items() if path}
    identity |= {"similarity_vectors": other.fingerprint} if other else {}
    if world:
        opened = open_world(world)
    elif data:
        timelines = Timelines.open(data)
    folder = open_workdir(workdir, identity)
    if is_complete(folder):
        print(f"{folder / METRICS}: complete already; delete the workdir to measure again")
        _pass(gate, read_json(folder / METRICS), folder, config)
        return

    def trajectories(k: int) -> Trajectories:
        if histories:
            return pasts.read(histories, recommender, k=k)
        if data:
            return pasts.replay(
                timelines, recommender, users=config.users, k=k, cut_at=tuple(config.cut_at), seed=config.seed
            )
        plan = _plan(config, recommender, users=config.users, k=k, seed=config.seed)
        return living_users(opened, plan, seed=config.seed) if world else plan

    for kind, column in similarity.KINDS.items():
        if kind not in measure:
            print(f"{kind} similarity left out: the item table has no {column} of any item")
    branches, baselines = with_baselines(config.baseline, config.branches)
    names = [branch.name for branch in branches]
    sizes = (config.slate_size, *config.sweep_slate_size)

    def simulate(k: int) -> Outcome:
        followed = trajectories(k)
        return responsiveness.simulate(
            recommender,
            followed,
            branches,
            slates=Slates(config.slate_size),
            shown=Slates(max(sizes)),
            distances=config.distances,
            # Other draws than those of the way there.
            later=_plan(config, recommender, users=followed.num_users, k=config.distances[-1], seed=-1 - config.seed),
        )

    metrics: dict[str, float] = {}
    per_user: dict[str, Any] = {}
    for k in (config.k, *config.sweep_k):
        outcome = simulate(k)
        for place, distance in enumerate(config.distances):
            for size in sizes:
                prefix = _prefix(config, k=k, distance=distance, size=size)
                shown = outcome.slates[:, place, :, :size]
                found = similarity.measured(measure, shown, outcome.last, outcome.valid)
                metrics |= responsiveness.summary(
                    found, names, baselines=baselines, seed=config.seed, samples=config.bootstrap_samples, prefix=prefix
                )
                for kind, rows in found.items():
                    per_user |= {f"{prefix}{name}/{kind}": row for name, row in zip(names, rows, strict=True)}
                for line in responsiveness.lines(metrics, config.branches, prefix=prefix):
                    print(line)
            if k == config.k:
                prefix = _prefix(config, k=k, distance=distance, size=config.slate_size)
                shown = outcome.slates[:, place, :, : config.slate_size]
                per_user |= {f"{prefix}slates/{name}": slate for name, slate in zip(names, shown, strict=True)}
        if k == config.k:
            main = outcome
    users = len(main.last)
    if users < config.users:
        print(f"{users:,} users of the {config.users:,} asked for: no more have such a history")
    np.savez_compressed(folder / "per_user.npz", items=main.history, **per_user)
    write_json(folder / "examples.json", examples(main, recommender.items, users=config.examples))
    write_json(folder / METRICS, metrics)
    print(f"responsiveness of {users} users at k={config.k}: {folder / METRICS}")
    _pass(gate, metrics, folder, config)


def _pass(gate: Gate, metrics: dict[str, float], folder: Path, config: ConfigDict) -> None:
    if not gate.is_set:
        return
    verdict = gate.judge(metrics, branch=config.branches[0])
    write_json(folder / gates.VERDICT, verdict)
    kept = {name: value for name, value in metrics.items() if not name.startswith("gate/")}
    write_json(folder / METRICS, {**kept, **gates.numbers(verdict)})
    if not verdict["passed"]:
        raise FellShortError(f"{gates.shortfall(verdict)}; the verdict is in {folder / gates.VERDICT}")
    print(f"the gate is passed: {folder / gates.VERDICT}")


def _plan(config: ConfigDict, recommender: Recommender, *, users: int, k: int, seed: int) -> Plan:
    return draw_plan(
        seed=seed,
        users=users,
        k=k,
        slate_size=config.slate_size,
        place_power=config.place_power,
        item_counts=recommender.items["train_count"].to_numpy(),
        first_item_power=config.first_item_power,
        behaviours=config.behaviours.to_dict(),
    )


def _prefix(config: ConfigDict, *, k: int, distance: int, size: int) -> str:
    parts = {"k": (k, config.k), "after": (distance, 1), "slate": (size, config.slate_size)}
    return "".join(f"{name}_{value}/" for name, (value, usual) in parts.items() if value != usual)


def _digest(path: str) -> str:
    # Of the file, or of the manifest that vouches for the folder's files.
    file = Path(path)
    candidates = (file, file / "manifest.json", file / "truth" / "manifest.json")
    found = next((one for one in candidates if one.is_file()), None)
    return hashlib.sha256(found.read_bytes()).hexdigest() if found else ""
