"""The two towers: a masked GRU over what a user met and how they reacted, and item vectors from id and content."""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from data.feedback import NUM_DWELL_BUCKETS
from encoders.gru import GRUEncoder
from encoders.item_content import Content
from encoders.item_tower import ItemTower
from encoders.labels import at_places
from encoders.registry import Encoder, MakeEncoder
from nn.dropout import Dropout
from retrieval.aversion import AversionMemory
from retrieval.trends import Trends


class TwoTower(nnx.Module):
    """User tower (GRU) and item tower of Wang et al., RecSys '23, sections 2 and 3.

    An event enters as item vector ⊕ (dwell bucket + feedback flags); the GRU's state h after it gives the query
    q = W h + b, and item j scores q · v_j. Which feedback the input shows is `input_bits`; what the labels are is the
    business of the loss. With `memory_bits` the query also forgets what was said no to (retrieval/aversion.py); the
    state of a user is then h beside that memory. With `trends` both towers go on with what is popular at the moment
    (retrieval/trends.py).
    """

    def __init__(
        self,
        content: Content,
        seen: np.ndarray,
        *,
        dim: int,
        hidden: int,
        input_bits: Sequence[int],
        memory_bits: Sequence[int],
        forgiving_bits: Sequence[int] = (),
        memory_size: int = 8,
        excluded_bits: Sequence[int] = (),
        opposing_bits: Sequence[int] = (),
        dropout: float,
        encoder: MakeEncoder = GRUEncoder,
        table_rows: int | None = None,
        hashed: np.ndarray | None = None,
        trends: Trends | None = None,
        rngs: nnx.Rngs,
    ):
        """Args as ItemTower, and:
        hidden: H, of the encoder, the paper's GRU or another of encoders/registry.py.
        input_bits: places in the feedback bitmask that the encoder reads.
        memory_bits: those that say no, none for the encoder alone. forgiving_bits: those that take it back.
        memory_size: S, the noes that are remembered.
        excluded_bits: those of events that are not read.
        opposing_bits: those of the events that a second encoder reads, and nothing else; it takes part in training
          alone (`separate_histories` of retrieval/alternatives.py).
        trends: x of the items at M moments, [rows, M, W].
        """
        columns = None if trends is None else trends.reshape(len(trends), -1)
        self.items = ItemTower(content, seen, dim=dim, table_rows=table_rows, hashed=hashed, columns=columns, rngs=rngs)
        self.input_bits = tuple(input_bits)
        # From zero: a dwell bucket or a feedback that no training event shows says nothing when it first comes.
        self.dwell_embedding = nnx.Param(jnp.zeros((NUM_DWELL_BUCKETS, dim)))
        # None, not a table of no rows: an array of no size cannot be saved.
        flags = jnp.zeros((len(self.input_bits), dim))
        self.flag_embedding = nnx.Param(flags) if self.input_bits else None
        self.dropout = Dropout(dropout)
        self.moments, windows = (0, 0) if trends is None else trends.shape[1:]

        def trend(encoder: Encoder) -> nnx.Linear | None:
            # From zero, as what is popular may be unknown to all labels.
            zeros = nnx.initializers.zeros_init()
            return nnx.Linear(encoder.state_size, windows, kernel_init=zeros, rngs=rngs) if windows else None

        self.encoder = encoder(2 * dim, hidden, dim, rngs=rngs)
        self.trend = trend(self.encoder)
        self.no_mask = sum(1 << bit for bit in memory_bits)
        self.excluded_mask = sum(1 << bit for bit in excluded_bits)
        self.opposing_mask = sum(1 << bit for bit in opposing_bits)
        self.opposing = encoder(2 * dim, hidden, dim, rngs=rngs) if opposing_bits else None
        self.opposing_trend = trend(self.opposing) if self.opposing is not None else None
        self.yes_mask = sum(1 << bit for bit in forgiving_bits)
        self.aversion = AversionMemory(dim, memory_size) if memory_bits else None

    @property
    def state_size(self) -> int:
        """Numbers that a user's state has."""
        return self.encoder.state_size + (self.aversion.state_size if self.aversion is not None else 0)

    def met(self, item_vectors: jax.Array, item: jax.Array) -> jax.Array:
        """What a history holds of items of any shape [...]: their vectors without trends, [..., D]."""
        return item_vectors[item][..., : self.items.dim]

    def events(self, met: jax.Array, dwell: jax.Array, feedback: jax.Array) -> jax.Array:
        """What the encoder reads of events of any shape [...], `met` being of their items: [..., 2 D]."""
        reaction = self.dwell_embedding[...][dwell]
        if self.flag_embedding is not None:
            shifts = jnp.asarray(self.input_bits, feedback.dtype)
            flags = ((feedback[..., None] >> shifts) & 1).astype(jnp.float32)  # [..., bits]
            reaction += flags @ self.flag_embedding[...]
        return jnp.concatenate([met, reaction], axis=-1)

    def states(
        self,
        inputs: Mapping[str, jax.Array],
        item_vectors: jax.Array,
        *,
        at: jax.Array,
        dropout_rngs: nnx.Rngs | None = None,
    ) -> jax.Array:
        """States after the positions `at` of item, dwell, feedback (and, in packed rows, reset) [B, T].

        `at` [S, R]: places as in encoders.labels.at_places -> [S * R, state].
        """
        feedback = inputs["feedback"]
        item = jnp.where(feedback & self.excluded_mask > 0, 0, inputs["item"])
        met = self.met(item_vectors, item)  # [B, T, D]
        hidden = self._encoded(self.encoder, inputs, met, where=item > 0, at=at, dropout_rngs=dropout_rngs)
        if self.aversion is None:
            return hidden
        said_no = feedback & self.no_mask > 0
        said_yes = feedback & self.yes_mask > 0
        memory = self.aversion.after(at, met, said_no, said_yes, where=item > 0, reset=inputs.get("reset"))
        return jnp.concatenate([hidden, memory], axis=-1)

    def step(self, state: jax.Array, item_vectors: jax.Array, item, dwell, feedback) -> jax.Array:
        """One event each [B] onto states [B, state]. Item 0 is no event and leaves the state as it is."""
        item = jnp.where(feedback & self.excluded_mask > 0, 0, item)
        hidden, memory = jnp.split(state, [self.encoder.state_size], axis=-1)
        met = self.met(item_vectors, item)
        updated = [self.encoder.step(hidden, self.events(met, dwell, feedback))]
        if self.aversion is not None:
            said_no, said_yes = feedback & self.no_mask > 0, feedback & self.yes_mask > 0
            updated.append(self.aversion.step(memory, met, said_no, said_yes))
        return jnp.where((item > 0)[:, None], jnp.concatenate(updated, axis=-1), state)

    def queries(self, states: jax.Array, *, moment: jax.Array | None = None) -> jax.Array:
        """States [..., state] -> queries [..., D + M W], asked at `moment` [...], one of the M; by default the last."""
        hidden, memory = jnp.split(states, [self.encoder.state_size], axis=-1)
        queries = self.encoder.queries(hidden)
        if self.aversion is not None:
            queries = self.aversion.forget(queries, memory)
        return self._with_trends(queries, self.trend, hidden, moment)

    def opposing_queries(
        self,
        inputs: Mapping[str, jax.Array],
        item_vectors: jax.Array,
        *,
        at: jax.Array,
        moment: jax.Array | None = None,
        dropout_rngs: nnx.Rngs | None = None,
    ) -> jax.Array:
        """Queries [S * R, D + M W] of the encoder of noes, args as `states`: what its user would say no to next.

        Errors: ValueError for a model that has none.
        """
        if self.opposing is None:
            raise ValueError("this model has no encoder of noes")
        item = jnp.where(inputs["feedback"] & self.opposing_mask > 0, inputs["item"], 0)
        met = self.met(item_vectors, item)  # [B, T, D]
        hidden = self._encoded(self.opposing, inputs, met, where=item > 0, at=at, dropout_rngs=dropout_rngs)
        moment = moment if moment is None else moment.reshape(-1)
        return self._with_trends(self.opposing.queries(hidden), self.opposing_trend, hidden, moment)

    def _encoded(
        self,
        encoder: Encoder,
        inputs: Mapping[str, jax.Array],
        met: jax.Array,
        *,
        where: jax.Array,
        at: jax.Array,
        dropout_rngs: nnx.Rngs | None,
    ) -> jax.Array:
        # What an encoder holds at the places `at`, [S * R, H], of the events `where`, whose items are `met` [B, T, D].
        events = self.dropout(self.events(met, inputs["dwell"], inputs["feedback"]), dropout_rngs)  # [B, T, 2 D]
        return at_places(at, encoder.states(events, where=where, reset=inputs.get("reset")))

    def _with_trends(
        self, queries: jax.Array, trend: nnx.Linear | None, hidden: jax.Array, moment: jax.Array | None
    ) -> jax.Array:
        if trend is None:
            return queries
        asked = jax.nn.one_hot(self.moments - 1 if moment is None else moment, self.moments)  # [..., M]
        placed = asked[..., :, None] * trend(hidden)[..., None, :]  # [..., M, W]
        return jnp.concatenate([queries, placed.reshape(*queries.shape[:-1], -1)], axis=-1)
