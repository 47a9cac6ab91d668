"""Which log to prepare, and where its validation and test days begin.

    python -m data.prepare --config=configs/data.py:kuairand_pure --data=DIR --workdir=DIR
    python -m data.prepare --config=configs/data.py:tables --data=DIR --workdir=DIR

The names are those of data/readers/. Of kuairand_pure, on the days 2022-04-25 to 2022-05-05, it keeps 180,022 events of
185,061 rows, 5,039 merged, and 898,257 events of earlier history, in about two seconds.

Logs of tables and KuaiRand are read some rows at a time: memory is that of --shard_rows rows, and of what there is of
each user and item (benchmarks/README.md). Other readers keep all rows of a log in memory.
"""

from ml_collections import ConfigDict

from data import readers


def get_config(name: str = "kuairand_pure") -> ConfigDict:
    """The config of the dataset called `name`."""
    dataset = readers.named(name)
    config = ConfigDict()
    config.dataset = dataset.name
    # When validation and test begin, like 2022-05-03T00:00+08:00 (UTC where no offset is given). Empty: where the
    # dataset's reader says, or else by shares.
    config.valid_start = config.test_start = ""
    # Of the log's time, the last for test, the one before it for validation; of its events instead where one of these
    # stretches of time holds less than half or more than twice its share of them, as where the log has a gap.
    config.valid_share = config.test_share = 0.1
    # Items with fewer events before validation are left out.
    config.min_item_count = dataset.min_item_count
    # Settings of the dataset's reader, such as KuaiRand's earlier_history, VK-LSVD's subsample, a user_share.
    config.update(dataset.options)
    return config
