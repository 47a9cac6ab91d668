"""Feature construction: user, item, platform, profile and statistics as one vector (Pan et al., CIKM '23, 2.2.1)."""

import dataclasses
import math
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from numpy.typing import NDArray

from data.feedback import unpack
from data.watch_time import RELATIVE
from nn.constant import Constant
from ranking.model import history_rates

GAP_BUCKETS = 26  # 0: no earlier event of known time, else 1 + log2 of the seconds
HOURS = 25  # 0: unknown, else 1 + the hour of the day
# Groups of rates and a count each: of the user's past, of what of it matches the candidate, and of everybody.
USER_GROUPS = ("history", "recent", "same_platform")
ITEM_GROUPS = ("same_creator", "same_cluster", "same_item")
RATE_GROUPS = ("item_rates", "creator_rates", "cluster_rates")


@dataclasses.dataclass(frozen=True)
class Schema:
    """What the features are made of: constants of a run, a row for each item or user, row 0 for the unknown one.

    Attributes:
      item_codes: [rows, C], the items' categories. item_owner: [C], the feature that each of these columns is of.
        item_shares: [rows, C], the weight of each in the mean over its feature. item_cardinalities, item_names: [F].
      item_embedded: [rows, E], the embeddings that the log has of its items, zeros where unknown.
      user_features: [rows, P], the users' categories, and user_cardinalities, user_names: [P].
      item_seen, user_seen: [rows], platform_seen: [S + 1], which have events to learn from; others get no id vector.
      item_numbers: [rows, M]. creator, cluster: [rows], 0 unknown.
      feedback: the W names of what a past event shows. feedback_seen: [W], those that events to learn from tell apart;
        others count as unknown. prior: [W], their rates on the days that are trained on.
    """

    item_codes: NDArray[np.int32]
    item_shares: NDArray[np.float32]
    item_owner: Sequence[int]
    item_embedded: NDArray[np.float32]
    item_cardinalities: Sequence[int]
    item_names: Sequence[str]
    user_features: NDArray[np.int32]
    user_cardinalities: Sequence[int]
    user_names: Sequence[str]
    item_seen: NDArray[np.bool_]
    user_seen: NDArray[np.bool_]
    item_numbers: NDArray[np.float32]
    creator: NDArray[np.int32]
    cluster: NDArray[np.int32]
    platform_seen: NDArray[np.bool_]
    feedback: Sequence[str]
    feedback_seen: NDArray[np.bool_]
    prior: NDArray[np.float32]


class FeatureConstruction(nnx.Module):
    """E_in: F fields of d dimensions each; three of them are e_u, e_i and e_p, the vectors of user, item and platform.

    A category has a vector in a table; a feature of several categories is their mean. Vectors of categories and ids
    begin at zero and stay there without training events: such an item or user is described by its content, profile and
    history. An item's embedding is one more field, mapped by a matrix that begins at zero. A group of numbers (rates
    as logits minus their prior's, log counts) is mapped to d dimensions by a matrix of its own.
    """

    def __init__(self, schema: Schema, *, dim: int, rngs: nnx.Rngs):
        """`dim` d."""

        # From zero, so that a category that training never met says nothing, instead of something at random.
        def table(rows: int) -> nnx.Param:
            return nnx.Param(jnp.zeros((rows, dim), jnp.float32))

        self.dim, self.num_feedback = dim, len(schema.feedback)
        self.rated = rated(schema.feedback)
        owner = np.asarray(schema.item_owner, int)
        self.content_code = Constant(jnp.asarray(_rows(schema.item_codes, schema.item_cardinalities, owner)))
        several = len(owner) > len(schema.item_names)
        self.content_share = Constant(jnp.asarray(schema.item_shares)) if several else None
        self.owner = tuple(schema.item_owner)
        profile = np.arange(schema.user_features.shape[1])
        self.profile_code = Constant(jnp.asarray(_rows(schema.user_features, schema.user_cardinalities, profile)))
        self.embedded = Constant(jnp.asarray(schema.item_embedded))
        self.item_numbers = Constant(jnp.asarray(schema.item_numbers))
        self.creator, self.cluster = Constant(jnp.asarray(schema.creator)), Constant(jnp.asarray(schema.cluster))
        self.item_seen = Constant(jnp.asarray(schema.item_seen, jnp.float32)[:, None])
        self.user_seen = Constant(jnp.asarray(schema.user_seen, jnp.float32)[:, None])
        self.platform_seen = Constant(jnp.asarray(schema.platform_seen, jnp.float32)[:, None])
        self.feedback_seen = Constant(jnp.asarray(schema.feedback_seen, jnp.float32))
        self.prior = Constant(jnp.clip(jnp.asarray(schema.prior), 1e-4, 1 - 1e-4))

        self.user_embedding, self.item_embedding = table(len(schema.user_seen)), table(len(schema.item_seen))
        self.platform_embedding = table(len(schema.platform_seen))
        self.hour_embedding, self.gap_embedding = table(HOURS), table(GAP_BUCKETS)
        # One table for all categories of a kind: one lookup instead of dozens.
        self.profile_embedding = table(max(1, sum(schema.user_cardinalities)))
        self.content_embedding = table(max(1, sum(schema.item_cardinalities)))
        embedding_size = schema.item_embedded.shape[1]
        self.content_projection = nnx.Param(jnp.zeros((embedding_size, dim))) if embedding_size else None
        w = self.num_feedback
        stacked = nnx.initializers.lecun_normal(in_axis=1, out_axis=2, batch_axis=0)

        def projections(groups: int, numbers: int) -> nnx.Param:
            return nnx.Param(stacked(rngs.params(), (groups, numbers + 1, dim), jnp.float32))

        self.user_projection, self.match_projection = (projections(len(g), w) for g in (USER_GROUPS, ITEM_GROUPS))
        self.rate_projection = projections(len(RATE_GROUPS), len(self.rated))
        self.last_two = nnx.Linear(4 * w, dim, rngs=rngs)
        self.duration = nnx.Linear(schema.item_numbers.shape[1], dim, rngs=rngs)
        self.names = (
            *("user", "platform", "hour", "gap"),
            *(f"user/{name}" for name in schema.user_names),
            *(*USER_GROUPS, "last_two"),
            *("item", *(f"item/{name}" for name in schema.item_names)),
            *(("item/embedding",) if embedding_size else ()),
            *(*ITEM_GROUPS, *RATE_GROUPS, "duration"),
        )

    @property
    def size(self) -> int:
        """D = F d."""
        return len(self.names) * self.dim

    def outcomes(self, packed: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Packed feedback [...] of events as values and known, each [..., W]; what was never learned of is unknown."""
        values, known = unpack(packed, self.num_feedback)
        return values * self.feedback_seen[...], known * self.feedback_seen[...]

    def item_vectors(self) -> jax.Array:
        """Id and content of every item in one vector, [rows, d]: what the encoder reads of an event's item."""
        content = self._categories(slice(None)).sum(axis=1)  # [rows, d]
        if self.content_projection is not None:
            content += self.projected()
        return self.item_embedding[...] * self.item_seen[...] + content

    def projected(self) -> jax.Array:
        """The field of every item's embedding, [rows, d]. Errors: ValueError where items have none."""
        if self.content_projection is None:
            raise ValueError("the items of this model have no embeddings")
        return self.embedded[...] @ self.content_projection[...]

    def _categories(self, items: jax.Array | slice) -> jax.Array:
        # The fields of the categories of items [...]: [..., F, d].
        codes = self.content_embedding[...][self.content_code[...][items]]  # [..., C, d]
        if self.content_share is None:
            return codes
        of_feature = jax.nn.one_hot(jnp.array(self.owner), self.owner[-1] + 1)  # [C, F]
        return jnp.einsum("...cd,...c,cf->...fd", codes, self.content_share[...][items], of_feature)

    def __call__(self, inputs: Mapping[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
        """E_in [B, C, D] and [e_u; e_i; e_p] [B, C, 3 d] of the inputs that ranking/inputs.py describes."""
        candidate, user, platform = inputs["candidate"], inputs["user"], inputs["platform"]
        of_history, last_two, of_matches, of_all = self._numbers(inputs)
        e_u = self.user_embedding[...][user] * self.user_seen[...][user]  # [B, d]
        e_p = self.platform_embedding[...][platform] * self.platform_seen[...][platform]
        e_i = self.item_embedding[...][candidate] * self.item_seen[...][candidate]  # [B, C, d]
        profile = self.profile_embedding[...][self.profile_code[...][user]]  # [B, P, d]
        content = self._categories(candidate)  # [B, C, F, d]
        of_user = [e_u, e_p, self.hour_embedding[...][inputs["hour"]], self.gap_embedding[...][_gap(inputs["gap"])]]
        of_user += [
            _flat(profile, 1),
            _flat(jnp.einsum("bgw,gwd->bgd", of_history, self.user_projection[...]), 1),
            self.last_two(last_two),
        ]
        of_item = [
            e_i,
            _flat(content, 2),
            *self._of_embedding(candidate, inputs),
            _flat(jnp.einsum("bcgw,gwd->bcgd", of_matches, self.match_projection[...]), 2),
            _flat(jnp.einsum("bcgw,gwd->bcgd", of_all, self.rate_projection[...]), 2),
            self.duration(self.item_numbers[...][candidate]),
        ]

        def to_all(per_user: jax.Array) -> jax.Array:
            return jnp.broadcast_to(per_user[:, None], (*candidate.shape, per_user.shape[-1]))

        features = jnp.concatenate([to_all(jnp.concatenate(of_user, axis=-1)), *of_item], axis=-1)
        return features, jnp.concatenate([to_all(e_u), e_i, to_all(e_p)], axis=-1)

    def _of_embedding(self, candidate: jax.Array, inputs: Mapping[str, jax.Array]) -> list[jax.Array]:
        # The field of the candidates' embeddings, [B, C, d], where there are any; servers have it at hand.
        if self.content_projection is None:
            return []
        if "projected" in inputs:
            return [inputs["projected"]]
        return [self.embedded[...][candidate] @ self.content_projection[...]]

    def _numbers(self, inputs: Mapping[str, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
        # Of the user [B, 3, W + 1], the last two outcomes [B, 4 W], of matches [B, C, 3, W + 1], of all [B, C, 3, R].
        item, candidate, platform = inputs["item"], inputs["candidate"], inputs["platform"]
        where, prior = (item > 0).astype(jnp.float32), self.prior[...]
        values, known = self.outcomes(inputs["feedback"])  # [B, T, W]
        place = history_rates.places_from_end(item > 0)
        own = history_rates.smoothed(where[:, None], values, known, prior)  # [B, 1, W]

        recent = where * history_rates.DECAY ** place.astype(jnp.float32)
        here = where * (inputs["surface"] == platform[:, None]) * (platform > 0)[:, None]
        weights = jnp.stack([where, recent, here], axis=1)  # [B, 3, T]
        priors = jnp.concatenate([jnp.broadcast_to(prior, own.shape), own, own], axis=1)
        of_history = history_rates.evidence(weights, values, known, priors)

        last = [(where * (place == n))[..., None] for n in (0, 1)]
        last_two = jnp.concatenate([(outcome * w).sum(axis=1) for w in last for outcome in (values, known)], axis=-1)

        keys = jnp.stack(
            [self.creator[...], self.cluster[...], jnp.arange(len(self.creator[...]))], axis=1
        )  # [rows, 3]
        of_event = jnp.where(keys[item] > 0, keys[item], -1).swapaxes(1, 2)  # [B, 3, T], unknown ones match nothing
        matches = (keys[candidate][..., None] == of_event[:, None]).astype(jnp.float32)  # [B, C, 3, T]
        users, candidates, groups, events = matches.shape
        matches = matches.reshape(users, candidates * groups, events)
        of_matches = history_rates.evidence(matches, values, known, own).reshape(users, candidates, groups, -1)

        rates = inputs["rates"].reshape(users, candidates, len(RATE_GROUPS), -1)  # [B, C, 3, rated + 1]
        rated = np.array(self.rated, int)
        shift = (history_rates.logit(rates[..., :-1]) - history_rates.logit(prior[rated])) * self.feedback_seen[...][
            rated
        ]
        return of_history, last_two, of_matches, jnp.concatenate([shift, rates[..., -1:] / 4], axis=-1)


def rated(feedback: Sequence[str]) -> tuple[int, ...]:
    """Places of the feedback that items, creators and clusters have rates of: what is not RELATIVE.

    Half of an item's plays on the training days are EVV by definition, so that there each one makes a later one rarer:
    a model learns that of a rate before the impression, and on any other day it is not so.
    """
    return tuple(place for place, name in enumerate(feedback) if name not in RELATIVE)


def _flat(x: jax.Array, leading: int) -> jax.Array:
    # All axes after the first `leading` as one; the sizes are given, for that of a batch may be a symbol.
    return x.reshape(*x.shape[:leading], math.prod(x.shape[leading:]))


def _rows(codes: NDArray[np.int32], cardinalities: Sequence[int], owner: NDArray[np.int64]) -> NDArray[np.int32]:
    # Where each category [rows, C] stands in one table of them all.
    return codes + np.cumsum([0, *cardinalities])[owner].astype(np.int32)


def _gap(seconds: jax.Array) -> jax.Array:
    bucket = 1 + jnp.floor(jnp.log2(jnp.maximum(seconds, 1.0))).astype(jnp.int32)
    return jnp.where(seconds < 0, 0, jnp.clip(bucket, 1, GAP_BUCKETS - 1))
