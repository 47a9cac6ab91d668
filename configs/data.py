"""Which log to prepare, and where its validation and test days begin.

    python -m data.prepare --config=configs/data.py:kuairand_pure --data=DIR --workdir=DIR
    python -m data.prepare --config=configs/data.py:tables --data=DIR --workdir=DIR

kuairand_pure, on the days 2022-04-25 to 2022-05-05: 180,022 events kept of 185,061 rows, 5,039 merged, and 898,257
events of earlier history, in about two seconds. Memory is about 300 bytes a row: 1 GB for 3.7 million rows measured, so
some 100 GB for all of kuairand_27k, which has not been run.
"""

from ml_collections import ConfigDict


def get_config(name: str = "kuairand_pure") -> ConfigDict:
    """The config of the dataset called `name`."""
    datasets = ("kuairand_pure", "kuairand_1k", "kuairand_27k", "tables")
    if name not in datasets:
        raise ValueError(f"no dataset '{name}'; there are {', '.join(datasets)}")
    config = ConfigDict()
    config.dataset = name
    # When validation and test begin, like 2022-05-03T00:00+08:00 (UTC where no offset is given). Empty: the days that
    # data/kuairand.py names, and for tables the last tenth of the log's time is test, the tenth before it validation.
    config.valid_start = config.test_start = ""
    # What users did before the log begins, where a file beside it tells (KuaiRand-Pure only).
    config.earlier_history = True
    # Items with fewer events before validation are left out. KuaiRand-27K has 32 million, most of them seen once or
    # twice: an embedding each would cost 8 GB and learn nothing.
    config.min_item_count = {"kuairand_1k": 2, "kuairand_27k": 5}.get(name, 0)
    return config
