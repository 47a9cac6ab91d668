"""Batches of labelled impressions, whole and as the parts that hosts load."""

from types import SimpleNamespace

import numpy as np
import pytest

from satisfaction.unbiased.fitting import ExampleBatches, Examples


def batches(count=7, **options):
    """Of `count` examples whose label is their number and whose weight is 1, in batches of 3."""
    number = np.arange(count)
    examples = Examples(number, number.astype(np.float32), np.ones(count, np.float32))
    features = SimpleNamespace(events=lambda positions: {"user": positions[:, None].astype(np.float32)})
    return ExampleBatches(features, examples, **{"batch_size": 3, "num_batches": 6, "seed": 0, **options})


def test_an_epoch_has_each_example_once_and_fills_up_with_weight_0():
    found = [batches()[index] for index in range(6)]
    for epoch in (found[:3], found[3:]):
        labels, weights = (np.concatenate([batch[name] for batch in epoch]) for name in ("label", "weight"))
        assert sorted(labels[weights > 0]) == list(range(7))
        np.testing.assert_array_equal(weights, [1, 1, 1, 1, 1, 1, 1, 0, 0])
    assert [list(batch["label"]) for batch in found[:3]] != [list(batch["label"]) for batch in found[3:]]


@pytest.mark.parametrize("shards", [1, 2, 4])
def test_what_hosts_load_is_together_the_batch_of_one_device(shards):
    # 3 examples on 2 devices are two and one, on 4 they are one each, and none on the last.
    whole, size = batches(), -(-3 // shards)
    hosts = [batches(num_shards=shards, shard=slice(n, n + 1)) for n in range(shards)]
    for index in range(len(whole)):
        parts = [host[index] for host in hosts]
        for name, array in whole[index].items():
            assert [part[name].shape for part in parts] == [(size, *array.shape[1:])] * shards
            joined = np.concatenate([part[name] for part in parts])
            np.testing.assert_array_equal(joined[:3], array)
            assert not joined[3:].any()


def test_fewer_examples_than_a_batch_are_one_batch():
    assert [len(batches(2, num_shards=n)[0]["label"]) for n in (1, 4)] == [2, 4]
