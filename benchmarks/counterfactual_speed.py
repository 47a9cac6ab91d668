"""How long 2,000 simulated users take, against the matrix products alone that no exact simulation can avoid.

  python -m benchmarks.counterfactual_speed [--items=10000 --items=100000]

Trajectories of k items and four branches, slates of 100, by a GRU of random weights (128 wide, vectors of 64) that went
through jax.export as a trained one does. The time is everything from a drawn plan to slates in host memory, the median
of --repeats after one that compiles. The bare products are as many queries @ item_vectors.T, in as many threads. The
two take turns.
"""

import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from absl import flags

from benchmarks.shared import record
from benchmarks.shared.side_by_side import in_turns, ratios, seconds
from runtime import app, cores

if TYPE_CHECKING:
    import jax

    from simulation.exported.recommender import Recommender

_ITEMS = flags.DEFINE_multi_integer("items", [10_000], "Items in the catalogue; once for each row of the table.")
_USERS = flags.DEFINE_integer("users", 2_000, "Simulated users.", lower_bound=1)
_K = flags.DEFINE_integer("k", 50, "Items consumed before the branches are compared.", lower_bound=2)
_REPEATS = flags.DEFINE_integer("repeats", 3, "Turns of each after the run that compiles.", lower_bound=1)

DIM, HIDDEN, SLATE = 64, 128, 100
BRANCHES = ("long_watch", "long_watch+dislike", "skip", "quit_early")
BEHAVIOURS = {"skip": 0.4, "quit_early": 0.3, "long_watch": 0.3}


def gru_recommender(num_items: int) -> "Recommender":
    """A GRU over item vectors, dwell and the dislike bit, exported and read back."""
    import jax
    import jax.export
    import jax.numpy as jnp
    import numpy as np
    import polars as pl
    from jax.tree_util import Partial

    from data.events_read import Reading
    from data.feedback import BITS, NUM_DWELL_BUCKETS
    from simulation.exported.recommender import Recommender, incremental

    rng = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return (rng.normal(size=shape) / np.sqrt(shape[-2])).astype(np.float32)

    item_vectors = normal(num_items + 1, DIM) * (np.arange(num_items + 1) > 0)[:, None]
    dwells, dislikes = normal(NUM_DWELL_BUCKETS, DIM), normal(2, DIM)
    inputs, recurrent, project = normal(DIM, 3 * HIDDEN), normal(HIDDEN, 3 * HIDDEN), normal(HIDDEN, DIM)

    def step(weights: dict, state: "jax.Array", item: "jax.Array", dwell: "jax.Array", feedback: "jax.Array") -> tuple:
        dislike = (feedback >> BITS["dislike"]) & 1
        x = weights["item_vectors"][item] + jnp.asarray(dwells)[dwell] + jnp.asarray(dislikes)[dislike]
        from_input = jnp.split(x @ inputs, 3, axis=1)
        from_state = jnp.split(state @ recurrent, 3, axis=1)
        update, reset = (jax.nn.sigmoid(a + b) for a, b in zip(from_input[:2], from_state[:2], strict=True))
        state = update * state + (1 - update) * jnp.tanh(from_input[2] + reset * from_state[2])
        return state, state @ project

    (b,) = jax.export.symbolic_shape("b")
    event = [jax.ShapeDtypeStruct((b,), jnp.int32)] * 3
    weights = {"item_vectors": jax.device_put(item_vectors)}
    exported = jax.export.export(jax.jit(step))(weights, jax.ShapeDtypeStruct((b, HIDDEN), jnp.float32), *event)
    user_step = Partial(jax.export.deserialize(exported.serialize()).call, weights)
    start, run = incremental(user_step, state_size=HIDDEN)
    return Recommender(start, run, item_vectors, pl.DataFrame(), reading=Reading(_K.value), fingerprint="")


def bare_products(recommender: "Recommender", *, users: int, products: int) -> Callable[[], None]:
    """As many products of `users` queries with all item vectors, in the simulation's chunks, in a thread per core."""
    import jax
    import jax.numpy as jnp

    from simulation.counterfactual.responsiveness import chunk_users

    item_vectors = jnp.asarray(recommender.item_vectors)
    size = chunk_users(users, len(item_vectors))

    @jax.jit
    def run(queries: jax.Array) -> jax.Array:
        # The maximum keeps the product from being left out; other queries each time keep it from being hoisted.
        return jax.lax.map(lambda t: ((queries + t) @ item_vectors.T).max(), jnp.arange(products, dtype=jnp.float32))

    def chunk(start: int) -> None:
        run(jnp.full((size, DIM), start, jnp.float32)).block_until_ready()

    def all_chunks() -> None:
        with ThreadPoolExecutor(cores.count()) as pool:
            list(pool.map(chunk, range(0, users, size)))

    return all_chunks


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    # Imported here so that --help does not wait for them.
    import numpy as np
    from ml_collections import ConfigDict

    from simulation.counterfactual.courses import Branch
    from simulation.counterfactual.plans import draw_plan
    from simulation.counterfactual.responsiveness import simulate
    from simulation.counterfactual.trajectories import Slates

    users, k = _USERS.value, _K.value
    config = ConfigDict(
        {"slate_size": SLATE, "place_power": 0.0, "first_item_power": 0.0, "behaviours": dict(BEHAVIOURS)}
    )
    print(f"{users:,} users, k = {k}, {len(BRANCHES)} branches, slates of {SLATE}, {cores.count()} cores")
    print(f"{'items':>9} {'first run':>10} {'median':>8} {'users × steps / s':>18} {'bare products':>14} {'ratio':>6}")
    for num_items in _ITEMS.value:
        recommender = gru_recommender(num_items)
        plan = draw_plan(config, np.ones(num_items + 1), users=users, k=k, seed=0)
        branches = [Branch.parse(name) for name in BRANCHES]
        run = partial(simulate, recommender, plan, branches, slates=Slates(SLATE))
        products = bare_products(recommender, users=users, products=k - 1 + len(BRANCHES))
        first, _ = seconds(run), seconds(products)  # which compile
        sides = {"whole": partial(seconds, run), "bare": partial(seconds, products)}
        times = in_turns(sides, _REPEATS.value)
        whole, bare = (statistics.median(of_side) for of_side in times.values())
        turns = ratios(times["bare"], times["whole"])
        rate, ratio = users * (k - 1 + len(BRANCHES)) / whole, 1 / statistics.median(turns)
        print(f"{num_items:>9,} {first:>8.1f} s {whole:>6.1f} s {rate:>18,.0f} {bare:>12.1f} s {ratio:>5.1f}x")
        what = f"{users:,} users, {k} items each, of {num_items:,}"
        against = "its bare matrix products"
        row = record.Row(what, "s", whole, bare, against=against, less_is_better=True, turns=turns, own=True)
        record.hand_over(row)
    print(f"peak memory: {record.peak_gib():.1f} GiB")


if __name__ == "__main__":
    app.run(main)
