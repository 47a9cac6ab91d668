"""What was clicked lately, against a loop over clicks: never the moment's own clicks, never those left out."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from data.timelines import EARLIER_MS
from satisfaction.saqrec import popularity
from satisfaction.saqrec.popularity import HALF_LIVES, MAX_PERIODS, PERIOD_MS, Popularity, periods, recent_counts

ITEMS = 5


def log(seed=0, count=200):
    rng = np.random.default_rng(seed)
    times = rng.integers(1_000, 9 * PERIOD_MS, count)
    times[rng.random(count) < 0.3] = EARLIER_MS
    return rng.integers(1, ITEMS + 1, count), times


def test_periods_are_half_days_from_the_logs_first_click():
    times = np.array([EARLIER_MS, 1_000, 1_000 + PERIOD_MS - 1, 1_000 + PERIOD_MS, 1_000 + 4 * PERIOD_MS])
    period, length = periods(times)
    np.testing.assert_array_equal(period, [0, 1, 1, 2, 5])
    assert length == PERIOD_MS
    np.testing.assert_array_equal(periods(np.full(3, EARLIER_MS))[0], 0)


def test_a_long_log_has_no_more_than_so_many_periods():
    times = 1_000 + np.arange(0, 100 * PERIOD_MS + 1, PERIOD_MS // 2)
    period, length = periods(times)
    assert length == 1 + 100 * PERIOD_MS // MAX_PERIODS
    assert (period.min(), period.max()) == (1, MAX_PERIODS)


def test_counts_are_of_earlier_periods_and_fade():
    item, times = log()
    period, _ = periods(times)
    found = recent_counts(item, period, num_items=ITEMS, num_periods=10, period_ms=PERIOD_MS)
    np.testing.assert_array_equal(found[0], 0.0)
    for p in range(1, 10):
        for i in range(1, ITEMS + 1):
            own = item == i
            expected = [(own & (period == 0)).sum()]
            ago = p - period[own & (period > 0) & (period < p)]
            for days in HALF_LIVES:
                expected.append((0.5 ** (ago * PERIOD_MS / 86_400_000 / days)).sum())
            np.testing.assert_allclose(found[p, i], expected, rtol=1e-5)


def test_a_click_is_not_counted_in_its_own_period_nor_before():
    item, times = log()
    item, times = np.append(item, 3), np.append(times, 1_000 + 5 * PERIOD_MS)
    period, _ = periods(times)
    sizes = {"num_items": ITEMS, "num_periods": 10, "period_ms": PERIOD_MS}
    changed = recent_counts(item, period, **sizes) != recent_counts(item[:-1], period[:-1], **sizes)
    assert not changed[: period[-1] + 1].any()
    assert changed[period[-1] + 1 :, 3, 1:].all()
    assert not np.delete(changed, 3, axis=1).any()


def test_the_logit_is_linear_plus_a_network_on_log_counts():
    counts = np.random.default_rng(0).poisson(3.0, (4, ITEMS + 1, 2)).astype(np.float32)
    model = Popularity(counts, hidden=3, rngs=nnx.Rngs(0))
    rng = np.random.default_rng(1)
    for layer in model.mlp.layers:
        layer.kernel[...], layer.bias[...] = (jnp.asarray(rng.normal(size=p.shape)) for p in (layer.kernel, layer.bias))
    model.weights[...] = jnp.asarray(rng.normal(size=4))
    logs = np.log(1 + np.float64(counts))
    mean = np.stack([[logs[p, 1:].mean(axis=0)] * (ITEMS + 1) for p in range(4)])
    x = np.concatenate([logs - mean, mean], axis=-1)
    first, last = model.mlp.layers
    hidden = np.maximum(x @ np.float64(first.kernel[...]) + np.float64(first.bias[...]), 0)
    expected = (
        x @ np.float64(model.weights[...])
        + (hidden @ np.float64(last.kernel[...]) + np.float64(last.bias[...]))[..., 0]
    )
    expected[0] = 0  # of earlier history nobody knows what was popular then
    np.testing.assert_allclose(model(), expected, rtol=1e-4, atol=1e-5)
    assert popularity.click_logits(None, 1, 2, 3) == (1, 2)
