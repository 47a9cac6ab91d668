"""A memory of what the user said no to, which the query is made to forget. Beyond the paper: its user tower is the GRU.

A GRU that has seen fifty items of one cluster takes more than one dislike to leave it: what the dislike adds to the
query is the same, however strongly the query points at the cluster. Here the disliked directions are erased in
proportion to how much of them the query holds, so one dislike counts after any history, and each is kept for itself, so
that the next one does not bring back what the first one sent away. How much is erased is learned from the labels: the
model starts with no effect.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from encoders.labels import at_places

_LEAST_RIDGE = 1e-3  # a "no" said again makes K Kᵀ singular


class Slots(NamedTuple):
    """The last S "noes", the newest first: keys of their items [..., S, D], and what is left of each [..., S].

    A slot that is empty has a key of zeros and strength 0.
    """

    keys: jax.Array
    strength: jax.Array


class AversionMemory(nnx.Module):
    """What the last S items said no to look like, v_1 … v_S, the newest first, and how much of each "no" still stands.

    Kept of item v_s is its key W v_s / |W v_s|, and w_s. A "no" to item i takes the first slot, v_1 = v_i with w_1 = 1,
    and the oldest slot is lost. A "yes" to item j takes back what it says of every slot: w_s ← w_s (1 − b cos⁴(W v_j,
    W v_s)), steeply, so that many a yes to other things leaves a "no" standing. The query forgets the span of the
    slots,

        k_s = w_s W v_s / |W v_s|,    K = (k_1, …, k_S)
        q ← q − √D c Wᵀ Kᵀ (K Kᵀ + λ I)⁻¹ K W q

    which is a ridge projection: the tenth "no" to a cluster says what the first one said, and directions at right
    angles do not disturb one another. W, which tells what is alike, c, b in (0, 1) and λ > 0 are learned; c starts at
    zero. The factor √D lets the one number c move as fast as the D numbers of a query do together.
    """

    def __init__(self, dim: int, size: int):
        """Args: D, of item vectors and queries; S, the noes that are remembered."""
        self.dim, self.size = dim, size
        self.key_kernel = nnx.Param(jnp.eye(dim))
        self.erased = nnx.Param(jnp.zeros(()))  # c
        self.yes_rate = nnx.Param(jnp.zeros(()))  # b before the sigmoid
        self.ridge = nnx.Param(jnp.full((), -1.0))  # λ before the softplus

    @property
    def state_size(self) -> int:
        """Numbers that a memory has, S (D + 1)."""
        return self.size * (self.dim + 1)

    def step(self, memory: jax.Array, item_vectors: jax.Array, said_no: jax.Array, said_yes: jax.Array) -> jax.Array:
        """Memory [B, S (D + 1)], vectors of the items met [B, D], said_no and said_yes [B] bool -> memory.

        What is both is a "no".
        """
        slots, keys = self.slots(memory), self.keys(item_vectors)
        cosine = jnp.einsum("bd,bsd->bs", keys, slots.keys)
        strength = jnp.where((said_yes & ~said_no)[:, None], slots.strength * self._kept(cosine), slots.strength)
        pushed = jnp.concatenate([keys[:, None], slots.keys[:, :-1]], axis=1)
        keys = jnp.where(said_no[:, None, None], pushed, slots.keys)
        pushed = jnp.concatenate([jnp.ones_like(strength[:, :1]), strength[:, :-1]], axis=1)
        strength = jnp.where(said_no[:, None], pushed, strength)
        return _flat(Slots(keys, strength))

    def after(
        self,
        at: jax.Array,
        item_vectors: jax.Array,
        said_no: jax.Array,
        said_yes: jax.Array,
        *,
        where: jax.Array,
        reset: jax.Array | None = None,
    ) -> jax.Array:
        """The memory after some positions of whole sequences, without a step for each.

        Places `at` [G, R] as in encoders.labels.at_places; item vectors [B, T, D]; said_no, said_yes, where (an event
        stands here) and reset (a sequence begins here; None: at the first place alone) [B, T] bool
        -> [G * R, S (D + 1)].
        """
        said_no, said_yes = said_no & where, said_yes & where
        keys = self.keys(item_vectors)
        kept = self._kept(jnp.einsum("bpd,bjd->bpj", keys, keys))  # of a "no" at p by a "yes" at j
        log_kept = jnp.where((said_yes & ~said_no)[:, None, :], jnp.log(kept), 0.0)
        total = jnp.cumsum(log_kept, axis=2)  # [B, p, t]: by all up to t

        # p of the noes, −1 for none.
        column = at_places(at, self._columns(said_no, reset)).reshape(*at.shape, self.size)
        length = item_vectors.shape[1]
        t = at[..., None] % length
        no_at = at[..., None] - t + jnp.maximum(column, 0)  # [G, R, S], row · T + p
        flat = (at.shape[0], -1)
        # What stands at t of the "no" at p is what the ones after p have left.
        by_all, by_earlier = (
            at_places((no_at * length + until).reshape(flat), total.reshape(total.shape[0], -1))
            for until in (t, no_at % length)
        )
        held = column.reshape(-1) >= 0
        strength = jnp.where(held, jnp.exp(by_all - by_earlier), 0.0).reshape(-1, self.size)
        keys = jnp.where(held[:, None], at_places(no_at.reshape(flat), keys), 0.0)
        return _flat(Slots(keys.reshape(-1, self.size, self.dim), strength))

    def forget(self, queries: jax.Array, memory: jax.Array) -> jax.Array:
        """Queries [..., D] without what they hold of the directions in memory [..., S (D + 1)]."""
        slots = self.slots(memory)
        keys = slots.strength[..., None] * slots.keys  # [..., S, D]
        gram = jnp.einsum("...sd,...td->...st", keys, keys)
        gram += (_LEAST_RIDGE + jax.nn.softplus(self.ridge[...])) * jnp.eye(self.size)
        share = solved(gram, jnp.einsum("...sd,...d->...s", keys, queries @ self.key_kernel[...]))
        held = jnp.einsum("...s,...sd->...d", share, keys)
        return queries - self.dim**0.5 * self.erased[...] * held @ self.key_kernel[...].T

    def keys(self, vectors: jax.Array) -> jax.Array:
        """W v / |W v| of vectors [..., D]; zeros for a vector of zeros."""
        keys = vectors @ self.key_kernel[...]
        return keys * lax.rsqrt(jnp.sum(keys**2, axis=-1, keepdims=True) + 1e-6)

    def _kept(self, cosine: jax.Array) -> jax.Array:
        return 1.0 - jax.nn.sigmoid(self.yes_rate[...]) * jnp.clip(cosine, 0.0, 0.999) ** 4

    def slots(self, memory: jax.Array) -> Slots:
        """What a memory [..., S (D + 1)] holds."""
        keys, strength = jnp.split(memory, [self.size * self.dim], axis=-1)
        return Slots(keys.reshape(*memory.shape[:-1], self.size, self.dim), strength)

    def _columns(self, said_no: jax.Array, reset: jax.Array | None) -> jax.Array:
        # Where the last S noes at or before each position stand, the newest first: [B, T] -> [B, T, S], −1 for none.
        position = jnp.broadcast_to(jnp.arange(said_no.shape[1]), said_no.shape)
        last = lax.cummax(jnp.where(said_no, position, -1), axis=1)
        # Not the running maximum of zeros where nothing is reset: XLA would take seconds to fold it.
        begin = 0 if reset is None else lax.cummax(jnp.where(reset, position, 0), axis=1)
        places, place = [], last
        for _ in range(self.size):
            place = jnp.where(place >= begin, place, -1)
            places.append(place)
            before = jnp.take_along_axis(last, jnp.maximum(place - 1, 0), axis=1)
            place = jnp.where(place > 0, before, -1)
        return jnp.stack(places, axis=-1)


def _flat(slots: Slots) -> jax.Array:
    return jnp.concatenate([slots.keys.reshape(*slots.keys.shape[:-2], -1), slots.strength], axis=-1)


def solved(matrix: jax.Array, right: jax.Array) -> jax.Array:
    """x of A x = y: A [..., S, S] symmetric and positive definite, y [..., S].

    The gradient is one more solution, not that of each step of the elimination.
    """
    return lax.custom_linear_solve(
        lambda x: jnp.einsum("...st,...t->...s", matrix, x),
        right,
        lambda _, y: _eliminated(matrix, y),
        symmetric=True,
    )


def _eliminated(matrix: jax.Array, right: jax.Array) -> jax.Array:
    # By Gauss and Jordan, as S is small: LAPACK's own would be a call for each system, and one that no exported program
    # may hold.
    system = jnp.concatenate([matrix, right[..., None]], axis=-1)  # [..., S, S + 1]
    for s in range(matrix.shape[-1]):
        pivot = system[..., s, :] / system[..., s, s, None]  # [..., S + 1]
        system -= system[..., :, s, None] * pivot[..., None, :]
        system = system.at[..., s, :].set(pivot)
    return system[..., -1]
