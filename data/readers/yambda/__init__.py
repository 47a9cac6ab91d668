"""Yambda (Ploshkin et al., 2025), a log of a music service with likes, dislikes, and their taking back, in three sizes.

The layout is that of the data set's card (yandex/yambda on Hugging Face). A folder holds

    flat/{50m,500m,5b}/multi_event.parquet    uid, timestamp, item_id, is_organic, event_type, played_ratio_pct,
                                              track_length_seconds
    flat/{50m,500m,5b}/{listens,likes,dislikes,unlikes,undislikes}.parquet    the same events, a file each kind
    artist_item_mapping.parquet               artist_id, item_id
    embeddings.parquet                        item_id, embed, normalized_embed: 128 numbers, of the sound

Read is multi_event.parquet, or where it is not there the files of the kinds, and the artists and embeddings where they
are there; the folder may also be flat/50m itself. The three sizes are of 10,000, 100,000 and a million users.

What becomes of it. A listen and the like or dislike of the same track within an hour are one event, of the time of the
first, as `data.raw.schema.event_types` has it. `play_ms` is the played share of the track's length. A listen is a
`long_view` from half of the track on, which the card calls listened. `surface` is 1 for what the user looked for
(`is_organic`), 0 for what was recommended. Unlikes and undislikes are no events of their own: they take back, as
`data.undo` says. A track's creators are its artists, its `embedding` is `normalized_embed`.

Time. The card says steps of five seconds from a start that is not told; the values are seconds, all multiples of five,
up to 26,000,000, which are the 301 days of the log. Here the first is ORIGIN, so dates mean nothing, spans of time do.
The split is the benchmark's: the last day is test, the day before it validation (and the half hours between, which the
benchmark leaves out, belong to what comes before and after).

Memory: `data.prepare` took 1.0 GB for 3 million made-up rows of multi_event.parquet, so some 15 GB for the 48 million
of the smallest, which has not been run. `--config.user_share=0.1` reads a tenth of the users, the file in pieces.

`--download` (Apache 2.0) fetches multi_event.parquet and the artists from Hugging Face, and checks the sha256 of their
Git LFS pointers; the embeddings are for you to add.
"""

from data import clock
from data.readers import Dataset, later
from data.traits import Traits

_LAYOUT = "data.readers.yambda.layout"
# Users, and the card's counts of listens, likes and dislikes.
SIZES = {
    "50m": ("10,000 users", 46_467_212, 881_456, 107_776),
    "500m": ("100,000 users", 466_512_103, 9_033_960, 1_128_113),
    "5b": ("a million users", 4_649_567_411, 89_334_605, 11_579_143),
}
ORIGIN = "2024-01-01T00:00:00Z"  # any
LAST_S, DAY_S, _GAP_S = 26_000_000, 86_400, 1_800  # seconds, as the benchmark has them
TEST_S = LAST_S - DAY_S
VALID_S = TEST_S - _GAP_S - DAY_S


def _moment(seconds: int) -> str:
    return clock.show(clock.parse(ORIGIN) + 1000 * seconds)


def _size(size: str, users: str, listens: int, likes: int, dislikes: int) -> Dataset:
    events = listens + likes + dislikes
    return Dataset(
        name=f"yambda_{size}",
        description=f"Yambda-{size.upper()}: music, {users}, likes and dislikes, and their taking back",
        source_files=later(f"{_LAYOUT}.source_files", size=size),
        read=later(f"{_LAYOUT}.read_yambda", size=size),
        # How many listens are long views or skips is not published.
        traits=Traits(events, {"like": likes / events, "dislike": dislikes / events}, play_times=True, creators=True),
        valid_start=_moment(VALID_S),
        test_start=_moment(TEST_S),
        # Many tracks were met once or twice: an embedding each would be most of the model, and learn nothing.
        min_item_count=5,
        options={"user_share": 1.0},
        download=later(f"{_LAYOUT}.download", size=size),
    )


DATASETS = tuple(_size(size, *about) for size, about in SIZES.items())
