"""Feature construction: user, item, platform, profile and statistics as one vector (Pan et al., CIKM '23, 2.2.1)."""

import dataclasses
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from numpy.typing import NDArray

from ranking import history

GAP_BUCKETS = 26  # 0: no earlier event of known time, else 1 + log2 of the seconds
HOURS = 25  # 0: unknown, else 1 + the hour of the day
RATE_GROUPS = ("item_rates", "creator_rates", "cluster_rates")


class Constant(nnx.Variable):
    """An array of the model that is not trained and not saved with it: it comes from the tables of the run."""


@dataclasses.dataclass(frozen=True)
class Schema:
    """What the features are made of: constants of a run.

    item_features [rows, F] int32 and item_cardinalities [F]; item_names [F]; user_features [rows, P] and
    user_cardinalities, user_names [P]; item_seen, user_seen [rows] bool: with training events, others have no id of
    their own; item_numbers [rows, M] float32; creator, cluster [rows] int32, 0 unknown; num_platforms;
    feedback, W names; prior [W], their rates on the training days.
    """

    item_features: NDArray[np.int32]
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
    num_platforms: int
    feedback: Sequence[str]
    prior: NDArray[np.float32]


class FeatureConstruction(nnx.Module):
    """E_in: F fields of d dimensions each, and e_u, e_i, e_p, which are three of them.

    A category is looked up in its table. A group of numbers (rates as logits minus their prior's, log counts) is mapped
    to d dimensions by a matrix of its own. Ids without training events are zero: such an item or user is its content,
    its profile and its history.
    """

    def __init__(self, schema: Schema, *, dim: int, rngs: nnx.Rngs):
        """`dim` d."""
        small = nnx.initializers.normal(0.05)

        def table(rows: int) -> nnx.Param:
            return nnx.Param(small(rngs.params(), (rows, dim), jnp.float32))

        self.dim, self.num_feedback = dim, len(schema.feedback)
        self.content_code = Constant(jnp.asarray(_rows(schema.item_features, schema.item_cardinalities)))
        self.profile_code = Constant(jnp.asarray(_rows(schema.user_features, schema.user_cardinalities)))
        self.item_numbers = Constant(jnp.asarray(schema.item_numbers))
        self.creator, self.cluster = Constant(jnp.asarray(schema.creator)), Constant(jnp.asarray(schema.cluster))
        self.item_seen = Constant(jnp.asarray(schema.item_seen, jnp.float32)[:, None])
        self.user_seen = Constant(jnp.asarray(schema.user_seen, jnp.float32)[:, None])
        self.prior = Constant(jnp.clip(jnp.asarray(schema.prior), 1e-4, 1 - 1e-4))

        self.user_embedding, self.item_embedding = table(len(schema.user_seen)), table(len(schema.item_seen))
        self.platform_embedding = table(schema.num_platforms + 1)
        self.hour_embedding, self.gap_embedding = table(HOURS), table(GAP_BUCKETS)
        # One table for all categories of a kind: one lookup instead of dozens.
        self.profile_embedding = table(max(1, sum(schema.user_cardinalities)))
        self.content_embedding = table(max(1, sum(schema.item_cardinalities)))
        w = self.num_feedback
        user_groups = {"history": w + 1, "recent": w + 1, "last_two": 4 * w, "same_platform": w + 1}
        item_groups = {"same_creator": w + 1, "same_cluster": w + 1, "same_item": w + 1}
        item_groups |= dict.fromkeys(RATE_GROUPS, w + 1) | {"item_numbers": schema.item_numbers.shape[1]}
        self.user_groups, self.item_groups = tuple(user_groups), tuple(item_groups)
        sizes = {**user_groups, **item_groups}
        self.projections = nnx.Dict({name: nnx.Linear(size, dim, rngs=rngs) for name, size in sizes.items()})
        self.names = (
            *("user", "platform", "hour", "gap"),
            *(f"user/{name}" for name in schema.user_names),
            *self.user_groups,
            *("item", *(f"item/{name}" for name in schema.item_names)),
            *self.item_groups,
        )

    @property
    def size(self) -> int:
        """D = F d."""
        return len(self.names) * self.dim

    def item_vectors(self) -> jax.Array:
        """Id and content of every item in one vector, [rows, d]: what the encoder reads of an event's item."""
        content = self.content_embedding[...][self.content_code[...]].sum(axis=1)  # [rows, d]
        return self.item_embedding[...] * self.item_seen[...] + content

    def __call__(self, inputs: Mapping[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
        """E_in [B, C, D] and [e_u; e_i; e_p] [B, C, 3 d] of the inputs that ranking/inputs.py describes."""
        candidate, user, platform = inputs["candidate"], inputs["user"], inputs["platform"]
        numbers = self._numbers(inputs)
        e_u = self.user_embedding[...][user] * self.user_seen[...][user]  # [B, d]
        e_p = self.platform_embedding[...][platform]
        e_i = self.item_embedding[...][candidate] * self.item_seen[...][candidate]  # [B, C, d]
        profile = self.profile_embedding[...][self.profile_code[...][user]]  # [B, P, d]
        content = self.content_embedding[...][self.content_code[...][candidate]]  # [B, C, F, d]
        of_user = [e_u, e_p, self.hour_embedding[...][inputs["hour"]], self.gap_embedding[...][_gap(inputs["gap"])]]
        of_user += [
            profile.reshape(len(user), -1),
            *(self.projections[name](numbers[name]) for name in self.user_groups),
        ]
        of_item = [e_i, content.reshape(*candidate.shape, -1)]
        of_item += [self.projections[name](numbers[name]) for name in self.item_groups]

        def to_all(per_user: jax.Array) -> jax.Array:
            return jnp.broadcast_to(per_user[:, None], (*candidate.shape, per_user.shape[-1]))

        features = jnp.concatenate([to_all(jnp.concatenate(of_user, axis=-1)), *of_item], axis=-1)
        return features, jnp.concatenate([to_all(e_u), e_i, to_all(e_p)], axis=-1)

    def _numbers(self, inputs: Mapping[str, jax.Array]) -> dict[str, jax.Array]:
        item, candidate = inputs["item"], inputs["candidate"]
        where, prior = (item > 0).astype(jnp.float32), self.prior[...]
        values, known = history.unpack(inputs["feedback"], self.num_feedback)  # [B, T, W]
        place = history.places_from_end(item > 0)

        def same(of_candidate: jax.Array, of_event: jax.Array) -> jax.Array:
            return ((of_candidate[..., None] == of_event[:, None, :]) & (of_event > 0)[:, None, :]).astype(jnp.float32)

        everything = where[:, None]  # [B, 1, T]
        own = history.smoothed(everything, values, known, prior)  # [B, 1, W]
        recent = everything * history.DECAY ** place[:, None].astype(jnp.float32)
        last = [(where * (place == n))[..., None] for n in (0, 1)]
        creator, cluster = self.creator[...], self.cluster[...]
        numbers = {
            "history": history.evidence(everything, values, known, prior)[:, 0],
            "recent": history.evidence(recent, values, known, own)[:, 0],
            "last_two": jnp.concatenate([(of * w).sum(axis=1) for w in last for of in (values, known)], axis=-1),
            "same_platform": history.evidence(same(inputs["platform"][:, None], inputs["surface"]), values, known, own)[
                :, 0
            ],
            "same_creator": history.evidence(same(creator[candidate], creator[item]), values, known, own),
            "same_cluster": history.evidence(same(cluster[candidate], cluster[item]), values, known, own),
            "same_item": history.evidence(same(candidate, item), values, known, own),
            "item_numbers": self.item_numbers[...][candidate],
        }
        rates = jnp.split(inputs["rates"], len(RATE_GROUPS), axis=-1)  # [B, C, W + 1] each
        for name, group in zip(RATE_GROUPS, rates):
            shift = history.logit(group[..., :-1]) - history.logit(prior)
            numbers[name] = jnp.concatenate([shift, group[..., -1:] / 4], axis=-1)
        return numbers


def _rows(codes: NDArray[np.int32], cardinalities: Sequence[int]) -> NDArray[np.int32]:
    # Where each category [rows, F] stands in one table of them all.
    return codes + (np.cumsum([0, *cardinalities])[:-1]).astype(np.int32)


def _gap(seconds: jax.Array) -> jax.Array:
    bucket = 1 + jnp.floor(jnp.log2(jnp.maximum(seconds, 1.0))).astype(jnp.int32)
    return jnp.where(seconds < 0, 0, jnp.clip(bucket, 1, GAP_BUCKETS - 1))
