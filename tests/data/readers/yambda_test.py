import dataclasses

import polars as pl
import pytest

from data import clock
from data.assembly import assemble
from data.raw.quarantine import Quarantine
from data.raw.sampled import of_share
from data.readers import yambda
from data.readers.yambda import layout
from runtime.errors import DataError
from tests.logs import official_logs

T = clock.parse(yambda.ORIGIN)
SCHEMA = {
    "uid": pl.UInt32,
    "timestamp": pl.UInt32,
    "item_id": pl.UInt32,
    "is_organic": pl.UInt8,
    "played_ratio_pct": pl.UInt16,
    "track_length_seconds": pl.UInt32,
    "event_type": pl.Enum(["listen", "dislike", "like", "undislike", "unlike"]),
}
ROWS = [
    (100, 0, 7, 0, 100, 170, "listen"),
    (100, 5, 8, 1, 49, 200, "listen"),
    (100, 10, 8, 1, 300, 200, "listen"),  # rewound
    (100, 15, 7, 1, None, None, "like"),
    (100, 20, 8, 0, None, None, "dislike"),
    (100, 25, 7, 1, None, None, "unlike"),
    (100, 30, 8, 1, None, None, "undislike"),
    (100, 40, 9, 0, None, None, "like"),
    (100, 3645, 9, 0, 50, 180, "listen"),
]


def write(folder, rows=ROWS):
    place = folder / "flat/50m"
    place.mkdir(parents=True, exist_ok=True)
    pl.DataFrame(rows, schema=SCHEMA, orient="row").write_parquet(place / "multi_event.parquet")
    return folder


def read(folder, size="50m", user_share=1.0, quarantine=None):
    return layout.read_yambda(folder, size, user_share=user_share, quarantine=quarantine or Quarantine())


def test_events_are_what_the_card_says(tmp_path):
    tables = read(write(tmp_path))
    columns = (
        "user_id",
        "item_id",
        "timestamp_ms",
        "surface",
        "play_ms",
        "duration_ms",
        "long_view",
        "like",
        "dislike",
    )
    assert tables.events.select(columns).rows() == [
        (100, 7, T, 0, 170_000, 170_000, 1, 1, 0),  # liked 15 seconds later
        (100, 8, T + 5_000, 1, 98_000, 200_000, 0, 0, 0),
        (100, 8, T + 10_000, 1, 600_000, 200_000, 1, 0, 1),  # disliked ten seconds later
        (100, 9, T + 40_000, 0, None, None, 0, 1, 0),  # not heard before
        (100, 9, T + 3_645_000, 0, 90_000, 180_000, 1, 0, 0),  # more than an hour later
    ]
    assert tables.events["undone.like"].to_list() == [T + 25_000, None, None, None, None]
    assert tables.events["undone.dislike"].to_list() == [None, None, T + 30_000, None, None]
    assert (tables.rows_read, tables.rows_joined) == (7, 2)
    assert tables.items is None


def test_a_like_that_is_said_again_after_an_unlike_stays(tmp_path):
    # An old like is taken back and said again while the track plays: the unlike is later than the listen.
    rows = [(1, 10, 7, 1, None, None, "like")]
    rows += [(1, 9_000, 7, 1, 100, 200, "listen"), (1, 9_050, 7, 1, None, None, "unlike")]
    rows += [(1, 9_060, 7, 1, None, None, "like")]
    events = read(write(tmp_path, rows)).events
    assert events.select("timestamp_ms", "play_ms", "like", "undone.like").rows() == [
        (T + 10_000, None, 1, T + 9_050_000),
        (T + 9_000_000, 200_000, 1, None),
    ]


def test_a_log_of_unlikes_alone_is_refused_by_its_name(tmp_path):
    read_in = read(write(tmp_path, [row for row in ROWS if row[-1] == "unlike"]))
    with pytest.raises(
        DataError, match=r"flat/50m/multi_event\.parquet: every row takes something back; give a log of"
    ):
        assemble(read_in)
    with pytest.raises(DataError, match=r"^the log: every row takes something back"):
        assemble(dataclasses.replace(read_in, path=None))


def test_one_file_and_a_file_for_each_kind_are_the_same_log(tmp_path):
    key = ["user_id", "timestamp_ms", "item_id", "long_view", "like"]
    official_logs.yambda(tmp_path / "one", "50m")
    official_logs.yambda(tmp_path / "each", "50m", in_one=False)
    one, each = read(tmp_path / "one"), read(tmp_path / "each")
    assert one.events.sort(key).equals(each.events.sort(key))
    assert one.rows_read == each.rows_read
    # The folder of the size itself does as well, and finds what lies two above it.
    within = read(tmp_path / "each/flat/50m")
    assert within.events.equals(each.events)
    assert within.items.equals(each.items)


def test_artists_and_embeddings_of_the_tracks_in_the_log(tmp_path):
    write(tmp_path)
    artists = pl.DataFrame({"artist_id": [3, 4, 3, 9], "item_id": [7, 7, 7, 1]}).cast(pl.UInt32)
    artists.write_parquet(tmp_path / "artist_item_mapping.parquet")
    vectors = {"item_id": [1, 8], "embed": [[2.0, 0.0], [0.0, 4.0]], "normalized_embed": [[1.0, 0.0], [0.0, 1.0]]}
    pl.DataFrame(vectors).write_parquet(tmp_path / "embeddings.parquet")
    items = read(tmp_path).items
    assert items["item_id"].to_list() == [7, 8, 9]
    assert items["creator_id"].to_list() == [[3, 4], None, None]
    assert items.schema["embedding"] == pl.Array(pl.Float32, 2)
    assert items["embedding"].to_list() == [None, [0.0, 1.0], None]


def test_the_split_is_the_benchmarks():
    # The last day is test, and the day before it, less the half hour between, validation.
    assert yambda.TEST_S == 26_000_000 - 86_400
    assert yambda.VALID_S == 26_000_000 - 2 * 86_400 - 1_800
    (dataset,) = [dataset for dataset in yambda.DATASETS if dataset.name == "yambda_500m"]
    assert clock.parse(dataset.valid_start) == T + 1000 * yambda.VALID_S
    assert clock.parse(dataset.test_start) == T + 1000 * yambda.TEST_S


def test_a_share_of_the_users(tmp_path):
    official_logs.yambda(tmp_path, "50m")
    everybody, some = read(tmp_path), read(tmp_path, user_share=0.5)
    wanted = everybody.events.filter(of_share(pl.col("user_id"), 0.5))
    assert 0 < len(wanted) < len(everybody.events)
    assert some.events.equals(wanted)


def test_bad_rows_are_named(tmp_path):
    def fault(row):
        write(tmp_path, [*ROWS[:2], row])
        with pytest.raises(DataError) as caught:
            read(tmp_path)
        return str(caught.value)

    path = tmp_path / "flat/50m/multi_event.parquet"
    assert f"{path}: row 3, column timestamp: '30000000' is above 26,086,400; times are seconds from" in fault(
        (1, 30_000_000, 7, 0, 100, 170, "listen")
    )
    assert "row 3, column is_organic: '2' is above 1" in fault((1, 10, 7, 2, 100, 170, "listen"))
    frame = pl.DataFrame(ROWS, schema=SCHEMA, orient="row").cast({"event_type": pl.String})
    frame.with_columns(event_type=pl.col("event_type").replace("like", "love")).write_parquet(path)
    with pytest.raises(DataError, match="row 4, column event_type: 'love' is not one of listen, like, dislike, unlike"):
        read(tmp_path)
    for seconds in (pl.Series(["0", "soon", *map(str, range(7))]), pl.Series([0.0, float("nan"), *range(7)])):
        frame.with_columns(timestamp=seconds).write_parquet(path)
        with pytest.raises(DataError, match=r"row 2, column timestamp: '(soon|nan|NaN)' is not a number of seconds; "):
            read(tmp_path)
        assert len(read(tmp_path, quarantine=Quarantine(enabled=True)).events) > 0
    frame.with_columns(event_type=pl.Series([b"\xff"] * len(frame))).write_parquet(path)
    with pytest.raises(DataError, match=r"row 1, column event_type: 'ff' is not one of listen"):
        read(tmp_path)
    frame.drop("event_type").write_parquet(path)
    with pytest.raises(DataError, match="no column 'event_type', only uid, timestamp"):
        read(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=r"multi_event\.parquet: no such file, nor listens\.parquet beside it"):
        read(tmp_path)
