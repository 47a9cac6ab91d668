"""The measurement that `simulation.counterfactual` makes: loads the models, simulates, compares, and writes the files.

In order: everything is checked and loaded before the workdir is begun; users are simulated once for each length of
history; each distance and size of slate is summed up; and the gate, where there is one, judges the metrics.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ml_collections import ConfigDict

from data.timelines import Timelines
from runtime.artifact import read_json, write_json
from runtime.errors import FellShortError
from runtime.workdir import METRICS, begin
from simulation.counterfactual import gate as gates
from simulation.counterfactual import histories as pasts
from simulation.counterfactual import responsiveness
from simulation.counterfactual.courses import distances, with_baselines
from simulation.counterfactual.examples import examples
from simulation.counterfactual.gate import Gate
from simulation.counterfactual.plans import Plan, draw_plan
from simulation.counterfactual.responsiveness import Outcome
from simulation.counterfactual.settings import check, check_met, most_events
from simulation.counterfactual.similarity import (
    KINDS,
    Similarity,
    centred,
    independent_vectors,
    measured,
    measures,
    true_aversions,
)
from simulation.counterfactual.trajectories import Slates, Trajectories
from simulation.counterfactual.user_model import LivingUsers
from simulation.exported.arms import world_items
from simulation.exported.ranker import load as load_ranker
from simulation.exported.recommender import Recommender, load, reencoding
from simulation.fingerprints import fingerprint
from simulation.world.state import open_world


def run(
    config: ConfigDict,
    recommender_path: str,
    workdir: str | None,
    *,
    world: str | None = None,
    data: str | None = None,
    histories: str | None = None,
    similarity_vectors: str | None = None,
    truth: str | None = None,
    ranker: str | None = None,
    candidates: int = 0,
    gate: Gate | None = None,
) -> None:
    """The whole measurement, from an exported recommender to the files in `workdir`.

    Args: truth, a feed whose aversions say what is alike; ranker, a folder that ranking.export wrote, which puts the
    recommender's best `candidates` in order.
    Errors: UsageError and DataError of the parts; FellShortError where the model does not pass `gate`.
    """
    gate = gate or Gate()
    gate.check()
    recommender = load(recommender_path)
    candidates = candidates if ranker else 0
    check(config, recommender, candidates=candidates)
    looked_at = distances(config, recommender.max_history)
    if config.reencode:
        recommender = reencoding(recommender, recommender_path, room=most_events(config, recommender.max_history))
    rank = load_ranker(ranker, recommender) if ranker else None
    other = load(similarity_vectors, flag="--similarity_vectors") if similarity_vectors else None
    vectors = independent_vectors(recommender, other) if other else None
    aversions = true_aversions(recommender, open_world(truth, flag="--truth")) if truth else None
    embeddings = recommender.embeddings
    measure = measures(
        recommender.items,
        vectors,
        None if embeddings is None else centred(embeddings, recommender.embedding_sizes),
        aversions.similarity if aversions else None,
    )
    gate.check_kinds(measure)
    # All pasts are there before the workdir is: what is wrong with them leaves none behind.
    source = _source(config, recommender, world=world, data=data, histories=histories)
    trajectories = {k: source(k) for k in (config.k, *config.sweep_k)}
    for followed in trajectories.values():
        if isinstance(followed, pasts.Histories):
            check_met(config, recommender, followed.most_met, candidates=candidates)
    identity: dict[str, Any] = {"config": config.to_dict(), "recommender": recommender.fingerprint}
    folders = {"world": world, "data": data, "histories": histories, "truth": truth, "ranker": ranker}
    identity |= {name: fingerprint(path) for name, path in folders.items() if path}
    identity |= {"similarity_vectors": other.fingerprint} if other else {}
    identity |= {"candidates": candidates} if ranker else {}
    folder, complete = begin(workdir, identity)
    if complete:
        _pass(gate, read_json(folder / METRICS), folder, config, recommender)
        return

    for kind, column in KINDS.items():
        if kind not in measure:
            print(f"{kind} similarity left out: the item table has no {column} of any item")
    branches, baselines = with_baselines(config.baseline, config.branches)
    metrics: dict[str, float] = {"events_read": recommender.max_history}
    per_user: dict[str, Any] = {}
    outcomes: dict[int, Outcome] = {}
    for k, followed in trajectories.items():
        outcome = outcomes[k] = responsiveness.simulate(
            recommender,
            followed,
            branches,
            slates=Slates(config.slate_size, rank, candidates),
            shown=Slates(max((config.slate_size, *config.sweep_slate_size)), rank, candidates),
            distances=looked_at,
            # Other draws than those of the way there.
            later=_plan(config, recommender, users=followed.num_users, k=looked_at[-1], seed=-1 - config.seed),
            path_of=config.path_of,
            barred=aversions.covered(followed.num_users, seed=config.seed) if aversions else None,
        )
        figures, of_users = _figures(outcome, measure, config, k=k, baselines=[*baselines, *([0] if aversions else [])])
        metrics, per_user = metrics | figures, per_user | of_users
    main = outcomes[config.k]
    users = main.past.num_users
    if users < config.users and not histories:
        print(f"{users:,} users of the {config.users:,} asked for: no more have such a history")
    np.savez_compressed(folder / "per_user.npz", items=main.past.items, **per_user)
    write_json(folder / "examples.json", examples(main, recommender.items, users=config.examples))
    write_json(folder / METRICS, metrics)
    print(f"responsiveness of {users} users at k={config.k}: {folder / METRICS}")
    _pass(gate, metrics, folder, config, recommender)


def _figures(
    outcome: Outcome, measure: Mapping[str, Similarity], config: ConfigDict, *, k: int, baselines: Sequence[int]
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    """Metrics, and arrays of users, at every distance and slate size; prints a line for each responsiveness."""
    names = [branch.name for branch in outcome.branches]
    metrics: dict[str, float] = {}
    per_user: dict[str, np.ndarray] = {}
    for place, distance in enumerate(outcome.distances):
        for size in (config.slate_size, *config.sweep_slate_size):
            prefix, shown = _prefix(config, k=k, distance=distance, size=size), outcome.slates[:, place, :, :size]
            to_last = measured(measure, shown, outcome.past.last, outcome.valid)
            metrics |= responsiveness.summary(
                to_last, names, baselines=baselines, seed=config.seed, samples=config.bootstrap_samples, prefix=prefix
            )
            if outcome.other.any():
                to_other = measured(measure, shown, outcome.other, outcome.valid)
                itself = range(len(names))  # no change of it: what differs from the baseline is done to the k-th item
                metrics |= responsiveness.summary(
                    to_other, names, baselines=itself, seed=config.seed, samples=1, prefix=f"{prefix}other/"
                )
            for kind, rows in to_last.items():
                per_user |= {f"{prefix}{name}/{kind}": row for name, row in zip(names, rows, strict=True)}
            if (k, size) == (config.k, config.slate_size):
                per_user |= {f"{prefix}slates/{name}": slate for name, slate in zip(names, shown, strict=True)}
            for line in responsiveness.lines(metrics, config.branches, prefix=prefix):
                print(line)
    return metrics, per_user


def _source(
    config: ConfigDict, recommender: Recommender, *, world: str | None, data: str | None, histories: str | None
) -> Callable[[int], Trajectories]:
    """Trajectories to a k-th item, as a function of k."""
    users, seed = config.users, config.seed
    if histories:
        return lambda k: pasts.read(histories, recommender, k=k)
    if data:
        timelines, cut_at = Timelines.open(data), tuple(config.cut_at)
        return lambda k: pasts.replay(timelines, recommender, users=users, k=k, cut_at=cut_at, seed=seed)
    if world:
        people = open_world(world)
        world_items(recommender, people, flag="--recommender")
        return lambda k: LivingUsers(people, _plan(config, recommender, users=users, k=k, seed=seed), seed=seed)
    return lambda k: _plan(config, recommender, users=users, k=k, seed=seed)


def _pass(gate: Gate, metrics: dict[str, float], folder: Path, config: ConfigDict, recommender: Recommender) -> None:
    kept = {name: value for name, value in metrics.items() if not name.startswith("gate/")}
    if not gate.is_set:
        if len(kept) < len(metrics):  # the verdict of an earlier call, which asked for one
            write_json(folder / METRICS, kept)
            (folder / gates.VERDICT).unlink(missing_ok=True)
        return
    verdict = gate.judge(metrics, branch=config.branches[0], recommender=recommender)
    for reason in verdict["unjudged"].values():
        print(f"not judged, {reason}")
    write_json(folder / gates.VERDICT, verdict)
    write_json(folder / METRICS, {**kept, **gates.numbers(verdict)})
    if not verdict["passed"]:
        raise FellShortError(f"{gates.shortfall(verdict)}; the verdict is in {folder / gates.VERDICT}")
    print(f"the gate is passed: {folder / gates.VERDICT}")


def _plan(config: ConfigDict, recommender: Recommender, *, users: int, k: int, seed: int) -> Plan:
    return draw_plan(config, recommender.items["train_count"].to_numpy(), users=users, k=k, seed=seed)


def _prefix(config: ConfigDict, *, k: int, distance: int, size: int) -> str:
    parts = {"k": (k, config.k), "after": (distance, 1), "slate": (size, config.slate_size)}
    return "".join(f"{name}_{value}/" for name, (value, usual) in parts.items() if value != usual)
