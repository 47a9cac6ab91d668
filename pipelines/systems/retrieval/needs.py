"""What retrieval needs of a log: positives, and more items than a slate has; models that read or learn from dislikes or
skips need enough of these, and are left out, or stood in for, where there are too few.
"""

from collections.abc import Iterator

from ml_collections import ConfigDict

from pipelines.graph.configs import config_of
from pipelines.systems.feed.log import Log
from pipelines.systems.left_out import RESPONSIVENESS, LeftOut
from retrieval.full_corpus import SLATE
from runtime.errors import DataError
from simulation.counterfactual.settings import most_events

LEAST_LABELS = 100  # negative labels on the training days: fewer than these move no weight
# Of all events, as labels of the not-to-recommend term: from half as many, on KuaiRand-Pure, it learns nothing
# beyond what reading them tells (benchmarks/README.md, "What was published elsewhere").
LEAST_SHARE = 0.002
_NOT_TO_RECOMMEND = "not_to_recommend"
_BLIND, _SKIPS, _SKIPS_ALONE, _PAPER = "no_dislike_signal", "skip_label", "skip_label_alone", "paper_tower"
_SMALL = 4  # of a small catalogue a quarter is a slate, and a quarter a history
NO_DISLIKE = "a column `dislike` in events, 1 where somebody said “not interested”"
NO_NO = "a column `dislike` (“not interested”), or `play_ms`, of which those under three seconds are skips"


def check(log: Log) -> None:
    """Errors: DataError, in one line, where nothing could be learned or measured."""
    if log.items <= SLATE:
        raise DataError(
            f"the log has {log.items} items: a top {SLATE} tells models apart only among more of them; give a log of "
            "more items, or rank the few that there are: python -m ranking.train"
        )
    reactions = ", ".join(log.positive)
    if not log.labels:
        said = [name for name in log.traits.feedback if name not in log.positive]
        raise DataError(
            f"no event of the training days, after its user's first, is a {reactions.replace(', ', ' or ')}"
            f"{', only ' + ', '.join(said) if said else ''}: there is nothing to recommend; log what people liked "
            "(click, like, follow, share, comment, long_view, or play_ms), or begin validation later by "
            "--config.stages.prepare.valid_start"
        )
    for split in ("valid", "test"):
        if not log.unmet[split]:
            raise DataError(
                f"no {reactions.replace(', ', ' or ')} of an item that its user had not met on the {split} days "
                f"({' to '.join(log.days[split])}): there is nothing to measure models on; choose other days by "
                f"--config.stages.prepare.{split}_start"
            )


def fit(config: ConfigDict, log: Log) -> Iterator[LeftOut]:
    """Leaves out of `config` what `log` cannot carry. Errors: as `check`."""
    check(log)
    has_dislikes, has_skips = bool(log.happened["train"]["dislike"]), bool(log.happened["train"]["skip"])
    named = (*config.plain, *config.sweeps, *(signals for signals, _ in config.stand_in))
    settings = {signals: config_of(f"configs/retrieval.py:{config.retrieval},{signals}") for signals in named}
    too_few = {signals: _too_few(log, of) for signals, of in settings.items()}
    gone = [signals for signals in config.sweeps if too_few[signals]]
    if config.serve in gone:
        reference = config.sweeps[config.serve].reference
        for signals, weights in config.stand_in:
            if not too_few[signals]:
                config.serve = signals
                config.sweeps[signals] = config.sweeps.get(signals, {"weights": weights, "reference": reference})
                break
            gone.append(signals)
    lacking = {kind for signals in gone for kind in too_few[signals]}
    if not has_dislikes:
        gone += [signals for signals, of in settings.items() if "dislike" in of.input_feedback or of.memory_feedback]
        if _SKIPS in config.sweeps and not too_few[_SKIPS]:
            config.sweeps[_SKIPS_ALONE] = {"weights": config.sweeps[_SKIPS].weights, "reference": _BLIND}
        yield LeftOut("models that read or learn from dislikes", "no event of the training days is one", NO_DISLIKE)
    elif "dislike" in lacking:
        count, share = log.happened["train"]["dislike"], log.traits.feedback.get("dislike", 0.0)
        few = f"{count:,} on the training days, {share:.2%} of all events, are too few"
        if any("dislike" in settings[signals].negative for signals in config.sweeps if signals not in gone):
            among = "for it; they teach among the softmax negatives of what was liked beside them"
            yield LeftOut("the not-to-recommend term of dislikes", f"{few} {among}", f"{LEAST_SHARE:.1%} of all events")
        else:
            remedy = f"{LEAST_LABELS} of them or more; those that there are are still read"
            yield LeftOut("models that learn from dislikes", f"{few} to learn from", remedy)
    if "skip" in lacking:
        yield LeftOut(
            "models that learn from skips",
            f"{log.happened['train']['skip'] or 'none'} of the events of the training days are skips",
            "a column `play_ms` in events, how long each was played, in milliseconds: under three seconds is a skip",
        )
    config.plain = tuple(signals for signals in config.plain if signals not in gone) or (_BLIND,)
    for signals in [name for name in config.sweeps if name in gone]:
        del config.sweeps[signals]
    for sweep in config.sweeps.values():
        if sweep.reference and sweep.reference not in config.plain:
            of_its_kind = [s for s in config.plain if s.endswith(_PAPER) == sweep.reference.endswith(_PAPER)]
            sweep.reference = of_its_kind[-1] if of_its_kind else ""
    if config.serve not in (*config.plain, *config.sweeps):
        config.serve = next(iter(config.sweeps), config.plain[-1])
    if not (has_dislikes or has_skips):
        config.counterfactual = ""
        yield LeftOut(RESPONSIVENESS, "nothing in the log is a no, neither a dislike nor a skip", NO_NO)
    elif not has_dislikes:
        config.stages.counterfactual.branches = ("skip", "quit_early")
    elif config.counterfactual and not (log.traits.play_times or _says_what_is_done(config.stages.counterfactual)):
        config.counterfactual += ",without_play_times"  # a play of some seconds is nothing that these models know
    if config.counterfactual:
        yield from _fit_simulation(config, log)


def _says_what_is_done(settings: ConfigDict) -> bool:
    # Whether somebody has set by hand what simulated people do.
    return any((settings.baseline, settings.branches, *(of is not None for of in settings.behaviours.values())))


def _too_few(log: Log, settings: ConfigDict) -> list[str]:
    # The kinds of noes that a model learns from, and that the log has too few of for its loss.
    share = LEAST_SHARE if settings.objective == _NOT_TO_RECOMMEND else 0.0
    return [
        kind
        for kind in settings.negative
        if log.happened["train"].get(kind, 0) < LEAST_LABELS or log.traits.feedback.get(kind, 0.0) < share
    ]


def _fit_simulation(config: ConfigDict, log: Log) -> Iterator[LeftOut]:
    # Similarity, and the room that slates and histories need among the items.
    known = [name for name in ("creators", "clusters") if getattr(log.traits, name)]
    trained = len(config.plain) + sum(len(sweep.weights) for sweep in config.sweeps.values())
    config.judged_by_vectors = config.judged_by_vectors and len(known) < 2 and trained > 1
    if not known and not config.judged_by_vectors:
        config.counterfactual = ""
        yield LeftOut(
            RESPONSIVENESS,
            "the log knows neither creators nor clusters of its items, and there is one model alone, so that nothing "
            "says what is alike",
            "creator_id or cluster_id in a table of items",
        )
        return
    asked, chosen = config_of(f"configs/counterfactual.py:{config.counterfactual}"), config.stages.counterfactual
    for name in asked:
        if name in chosen and not isinstance(chosen[name], ConfigDict) and chosen[name] is not None:
            asked[name] = chosen[name]
    length = config.stages.retrieval.length or config_of(f"configs/retrieval.py:{config.retrieval}").length
    if asked.slate_size + most_events(asked, length) <= log.items:
        return
    further = most_events(asked, length) - asked.k
    part = max(2, log.items // _SMALL)
    chosen.slate_size, chosen.k = min(asked.slate_size, part), max(2, min(asked.k, part - further))
    yield LeftOut(
        f"a simulation of slates of {asked.slate_size} after {asked.k} items",
        f"the log has {log.items} items",
        f"{asked.slate_size + asked.k + further} of them; slates of {chosen.slate_size} after {chosen.k} stand in",
    )
