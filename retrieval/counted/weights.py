"""How much the towers and each part weigh, fitted on the validation days: a conditional logit.

    p(j | question) = softmax over what may be shown of  a_0 q · v_j + Σ_p a_p S_pj
    a = argmax Σ_questions mean log p(j), over the items j to be found;  a ≥ 0

(McFadden, Frontiers in Econometrics, 1974). It is the positives' term of the loss that the towers are trained by, on
days that they have not seen, and concave in a, so it has one solution and nothing to tune. With the not-to-recommend
term beside it, what is served moves along the same trade of Recall against skips and dislikes that the weight of that
term draws, and no further. The questions are those of both ways of asking (retrieval/queries.py), and count alike: one
model answers both. A part that adds nothing gets 0, and is left out, unless it speaks of noes (covisitation.py). But
where that would leave nothing that ranks items for an empty history, popularity keeps the least weight there is. What
comes out is calibrated too: softmax of the scores says how likely these days were.

In the fit what was said no to is forgotten, and no more (b = a of covisitation.py): that a no counts against what is
like it is for the few who say no, and no reason to trust co-visitation less for all. How strongly it does is no matter
of what people like, so no likelihood can tell it:

    b = 0.7 a',  a' what co-visitation weighs in the same fit without towers

So one no takes away 0.7 of what co-visitation alone would say for things like it, wherever in the sum that is known.
Where items like it are known better by something simpler, as by exact categories, a' is small, and they speak of it.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from data.events_read import Reader
from data.timelines import Timelines
from retrieval.checkpoint import TOWERS, Retriever, reading
from retrieval.counted import Arrays, Part
from retrieval.counted.parts import KINDS, NOES, own_weights
from retrieval.counted.reactions import Reactions
from retrieval.queries import Queries, asked
from runtime.errors import DataError
from training.chunks import by_chunks

# Where there is nothing to fit by: about what it was on three logs.
UNFITTED = {TOWERS: 1.0, "covisitation": 15.0, NOES: 10.0}
# Chosen on the validation days of five logs: benchmarks/README.md, "What is counted beside the towers".
_SHARE_OF_NOES = 0.7
_QUERIES, _SCORES = 1_000, 1 << 28  # of each way of asking, and scores that are held of them, at most
_FEWEST = 50  # queries, of both together, that fit anything
_CHUNK = 250  # histories read at a time
_LEAST, _MOST = 1e-3, 1e3  # a weight below the one is none
_POPULARITY = "popularity"
ONLY_COUNTS = "the validation days gave the towers no weight: what is served only counts"

Histories = Mapping[str, NDArray[np.int32]]
Scores = NDArray[np.float32]


class _Asked(NamedTuple):
    """scores: by each term [Q, N + 1], or [1, N + 1] where the same for all. excluded [Q, N + 1]: no candidates."""

    scores: list[Scores]
    excluded: NDArray[np.bool_]
    items: NDArray[np.int64]  # [Q, M]
    share: NDArray[np.float32]  # [Q, M]: of each item in its question, 0 for padding


def only_counts(weights: Mapping[str, float]) -> bool:
    """Whether the towers weigh nothing beside what is counted, so that nothing they have learned has an effect."""
    return weights.get(TOWERS) == 0.0


def fit(
    towers: Retriever, counted: Mapping[str, Arrays], timelines: Timelines, *, terms: Sequence[str] | None = None
) -> dict[str, float]:
    """a of each of `terms`, the names of TOWERS and of parts; all that the towers' config has, by default. And b of
    co-visitation, by the name NOES, where it is among them and the model remembers noes: what the config says, or as
    above.

    UNFITTED where the validation days hold too few questions, where the towers have learned from them too, and where
    the corpus is so large that a few dozen questions are all that fits in memory. Those of `config.counted_weights`,
    where it has any, b being that of UNFITTED then.

    Args: counted, of each part what lies before the validation days.
    """
    config = towers.config
    everything = (TOWERS, *config.counted)
    terms = everything if terms is None else terms
    weights, noes = {name: UNFITTED.get(name, 0.0) for name in terms}, UNFITTED[NOES]
    speaks_of_noes = "covisitation" in terms and config.memory_feedback
    if config.counted_weights:
        weights = dict(zip(everything, config.counted_weights, strict=True))
    elif of_all := _questions(terms, towers, counted, timelines):
        weights = for_newcomers(_most_likely(of_all, terms))
        if speaks_of_noes:
            noes = _SHARE_OF_NOES * _most_likely(of_all, terms, without=TOWERS)["covisitation"]
    if speaks_of_noes:
        given = config.covisitation_noes_weight
        weights[NOES] = noes if given is None else given
    return weights


def for_newcomers(weights: Mapping[str, float]) -> dict[str, float]:
    """`weights`, with 0.001 of the last part of popularity where neither it nor the towers have any.

    Of an empty history nothing else tells: all items would score 0, and come in the order of their ids.
    """
    popular = [name for name in weights if name.startswith(_POPULARITY)]
    if not popular or any(weights[name] for name in popular) or not only_counts(weights):
        return dict(weights)
    return {**weights, popular[-1]: _LEAST}


def _questions(
    terms: Sequence[str], towers: Retriever, counted: Mapping[str, Arrays], timelines: Timelines
) -> list[_Asked]:
    # Of each way of asking; [] where there are too few to fit by, or too many items.
    config = towers.config
    most = min(_QUERIES, _SCORES // (2 * (len(terms) + 2) * timelines.num_items))
    if "valid" in config.train_on or most < _FEWEST:
        return []
    try:
        questions = asked(timelines, split="valid", positive=tuple(config.positive)).values()
    except DataError:  # no positive of an unmet item
        return []
    drawn = [of.drawn("targets", most) for of in questions]
    if sum(len(of.items) for of in drawn) < _FEWEST:
        return []
    given, content = config.covisitation_noes_weight, timelines.item_content()
    at_1 = dict.fromkeys(terms, 1.0) | {NOES: 1.0 if given is None else min(1.0, given)}
    parts = [
        None if name == TOWERS else KINDS[name].make(counted[name], content, config, **own_weights(name, at_1))
        for name in terms
    ]
    return [_scored(of, towers, parts, timelines) for of in drawn]


def _most_likely(of_all: list[_Asked], terms: Sequence[str], *, without: str | None = None) -> dict[str, float]:
    # a of each of `terms`; 0 for `without`.
    # A weight of co-visitation is ten times that of others: in steps of one size its search would end where it begins.
    unit = np.array([UNFITTED.get(name, 1.0) for name in terms])

    def objective(units: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        value, slope = _loss(jnp.asarray(units * unit, jnp.float32), of_all)
        return float(value), np.asarray(slope, np.float64) * unit

    first = np.array([0.0 if name == without else UNFITTED.get(name, 0.0) for name in terms]) / unit
    bounds = [(0.0, 0.0 if name == without else _MOST / of) for name, of in zip(terms, unit, strict=True)]
    options = {"ftol": 1e-12, "gtol": 1e-5}  # to what float32 tells apart
    found = unit * minimize(objective, first, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    return {name: float(weight) if weight > _LEAST else 0.0 for name, weight in zip(terms, found, strict=True)}


@jax.jit
@jax.value_and_grad
def _loss(weights: jax.Array, of_all: list[_Asked]) -> jax.Array:
    losses = []
    for of in of_all:
        scores = sum(weight * scores for weight, scores in zip(weights, of.scores, strict=True))
        log_p = jax.nn.log_softmax(jnp.where(of.excluded, -1e9, scores), axis=1)
        losses.append(-(of.share * jnp.take_along_axis(log_p, of.items, axis=1)).sum(axis=1).mean())
    return jnp.stack(losses).mean()


def _scored(queries: Queries, towers: Retriever, parts: Iterable[Part | None], timelines: Timelines) -> _Asked:
    # By each of `parts`, None being the towers.
    reader = Reader(timelines.feedback, reading(towers.config))
    histories = timelines.histories(queries.moments.user, queries.moments.before, reader)

    def encoded(rows: NDArray[np.int64]) -> jax.Array:
        return towers.encode({name: column[rows] for name, column in histories.items()})

    def of_towers() -> Scores:
        return by_chunks(encoded, np.arange(len(queries.items)), _CHUNK) @ towers.item_vectors().T

    reactions = Reactions(towers.config)
    scores = [_of_part(part, reactions, histories) if part else of_towers() for part in parts]
    where = queries.of("targets")
    share = (where / where.sum(axis=1, keepdims=True)).astype(np.float32)
    excluded = np.zeros((len(share), timelines.num_items + 1), bool)
    excluded |= timelines.later(queries.moments.time_ms)
    excluded[queries.met()] = True
    return _Asked(scores, excluded, np.where(where, queries.items, 0), share)


def _of_part(part: Part, reactions: Reactions, histories: Histories) -> Scores:
    # [Q, N + 1]; of a part that keeps nothing of users [1, N + 1].
    @jax.jit
    def queries(item: jax.Array, dwell: jax.Array, feedback: jax.Array) -> jax.Array:
        return part.queries(part.after(part.vectors, reactions.read(item, dwell, feedback)))

    def of_rows(rows: NDArray[np.int64]) -> jax.Array:
        return queries(*(histories[name][rows] for name in ("item", "dwell", "feedback")))

    size = len(histories["item"]) if part.state_size else 1
    return by_chunks(of_rows, np.arange(size), _CHUNK) @ np.asarray(part.vectors).T
