"""VK-LSVD (deepvk, 2025), half a year of a feed of short videos: 40 billion plays, each with its yes or no.

The layout is that of the data set's card (deepvk/VK-LSVD on Hugging Face). A folder holds

    interactions/{train/week_00…24,validation/week_25,test/week_26}.parquet
        user_id, item_id, place, platform, agent, timespent, like, dislike, share, bookmark, click_on_author,
        open_comments
    subsamples/NAME/{train,validation,test}/week_*.parquet    the same of fewer users and videos, like up0.001_ip0.001
    metadata/items_metadata.parquet    item_id, author_id, duration, train_interactions_rank
    metadata/users_metadata.parquet    user_id, age, gender, geo, train_interactions_rank
    metadata/item_embeddings.npz       item_id, embedding: 64 numbers, the first of which matter most

`--config.subsample=NAME` reads a subsample, which also `--data` itself may be; "" reads `interactions`. The metadata
are read where they are there.

What becomes of it. `timespent`, whole seconds up to 255, is `play_ms`; `place` is `surface`. A bookmark is a `like`, as
a like is. Who opens comments or goes to the author's page has said neither yes nor no: `open_comments`,
`click_on_author`, `platform` and `agent` are not read, nor are the ranks, which count what is learned from and what is
not alike. Nobody meets a video twice. A video's `embedding` are its 64 numbers.

Time. Rows have none: their order is that of time, within a file of one week. Here weeks follow each other from ORIGIN,
and the n rows of a week have the times k / n of it, so spans of time are right to some hours and hours of the day mean
nothing. The split is the log's: week 25 is validation, week 26 test.

Memory: `data.prepare` took 0.8 GB for 3 million made-up rows, so take a subsample, or `--config.user_share=0.001`,
which reads the files in pieces. The embeddings of all 20 million videos, 2.5 GB, are in memory until those of the log's
are picked. None of it has been run on the log itself.

`--download` (Apache 2.0) fetches the weeks and the metadata from Hugging Face, and checks the sha256 of their Git LFS
pointers; the embeddings are for you to add.
"""

from data import clock
from data.readers import Dataset, later
from data.traits import Traits

_LAYOUT = "data.readers.vk_lsvd.layout"
ORIGIN = "2025-01-01T00:00:00Z"  # the card says January to June 2025
WEEK_MS = 7 * 86_400_000
VALID_WEEK, TEST_WEEK = 25, 26
_PLAYS = 40_774_024_903


def _moment(week: int) -> str:
    return clock.show(clock.parse(ORIGIN) + WEEK_MS * week)


DATASETS = (
    Dataset(
        "vk_lsvd",
        "VK-LSVD: short videos, 10 million users, or a subsample of them",
        later(f"{_LAYOUT}.source_files"),
        later(f"{_LAYOUT}.read_vk_lsvd"),
        # Shares as the card's counts tell them, bookmarks aside; how many long views and skips there are it does not.
        traits=Traits(
            _PLAYS,
            {"like": 1_171_423_458 / _PLAYS, "dislike": 11_860_138 / _PLAYS, "share": 262_734_328 / _PLAYS},
            play_times=True,
            creators=True,
        ),
        valid_start=_moment(VALID_WEEK),
        test_start=_moment(TEST_WEEK),
        min_item_count=5,
        options={"subsample": "", "user_share": 1.0},
        download=later(f"{_LAYOUT}.download"),
    ),
)
