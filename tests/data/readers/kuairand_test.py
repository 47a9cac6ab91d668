import os
from pathlib import Path

import polars as pl
import pytest

from data import clock
from data.assembly import assemble
from data.raw.quarantine import Quarantine
from data.raw.tables import attributes
from data.readers import named
from data.readers.kuairand import layout as official
from runtime.errors import DataError

T = 1_651_000_000_000
LOG_HEADER = (
    "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
    "play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab\n"
)
VIDEOS = (
    "video_id,author_id,video_type,upload_dt,upload_type,visible_status,video_duration,server_width,server_height,"
    """music_id,music_type,tag
0,70,NORMAL,2022-04-10,LongImport,0.0,87433.0,720.0,1280.0,9155697141,9.0,39
1,71,AD,2022-04-11,Web,0.0,,720.0,1280.0,0,,"40,39"
2,70,NORMAL,2022-04-10,Web,0.0,5000.0,720.0,1280.0,5,4.0,
"""
)
USERS = """user_id,user_active_degree,follow_user_num,follow_user_num_range,onehot_feat3
3,full_active,514,500+,1
4,high_active,2,"(0,10]",
"""


def row(user, video, second, *, hate=0, rand=False):
    return f"{user},{video},20220427,100,{T + second * 1000},1,0,0,0,1,{hate},0,4000,87433,0,0,0,{int(rand)},1\n"


def layout(folder, version, logs):
    """The official files of a version with the given log file -> rows."""
    folder.mkdir(parents=True)
    (folder / f"video_features_basic_{version}.csv").write_text(VIDEOS)
    (folder / f"user_features_{version}.csv").write_text(USERS)
    (folder / f"video_features_statistic_{version}.csv").write_text("not read")
    for name, rows in logs.items():
        (folder / f"{name}.csv").write_text(LOG_HEADER + "".join(rows))


def read(folder, version="pure", *, earlier_history=True, quarantine=None):
    rejected = quarantine or Quarantine()
    return official.read_kuairand(folder, version, earlier_history=earlier_history, quarantine=rejected).whole()


LAYOUTS = {
    "pure": ("log_standard_4_08_to_4_21_pure", "log_standard_4_22_to_5_08_pure", "log_random_4_22_to_5_08_pure"),
    "1k": ("log_standard_4_08_to_4_21_1k", "log_standard_4_22_to_5_08_1k", "log_random_4_22_to_5_08_1k"),
    "27k": (
        "log_standard_4_08_to_4_21_27k_part1",
        "log_standard_4_08_to_4_21_27k_part2",
        "log_standard_4_22_to_5_08_27k_part1",
        "log_random_4_22_to_5_08_27k",
    ),
}


@pytest.mark.parametrize("version", LAYOUTS)
@pytest.mark.parametrize("below", [".", "data", "ARCHIVE/data"])
def test_the_official_layouts_are_read_unchanged(tmp_path, version, below):
    root = tmp_path / "logs"
    names = LAYOUTS[version]
    logs = {name: [row(3 + at % 2, at % 3, at, rand="random" in name)] for at, name in enumerate(names)}
    layout(root / below.replace("ARCHIVE", official.FOLDERS[version]), version, logs)
    tables = read(root, version)
    assert tables.rows_read == len(names)
    assert tables.events["timestamp_ms"].to_list() == [T + 1000 * at for at in range(len(names))]
    assert tables.events["randomly_exposed"].to_list() == [0] * (len(names) - 1) + [1]


def test_columns_get_their_canonical_names(tmp_path):
    layout(tmp_path / "data", "pure", {"log_standard_4_22_to_5_08_pure": [row(3, 0, 0), row(4, 1, 5, hate=1)]})
    tables = read(tmp_path)
    assert tables.events.row(1, named=True) == {
        "user_id": 4,
        "item_id": 1,
        "timestamp_ms": T + 5000,
        "click": 1,
        "long_view": 0,
        "like": 0,
        "follow": 0,
        "comment": 0,
        "share": 1,
        "dislike": 1,
        "play_ms": 4000,
        "duration_ms": 87433,
        "randomly_exposed": 0,
        "surface": 1,
    }
    items = tables.items
    assert items["item_id"].to_list() == [0, 1, 2]  # video 0 is a video
    assert items["creator_id"].to_list() == [70, 71, 70]
    assert items["cluster_id"].to_list() == ["39", "40", None]
    assert items["second_tag"].to_list() == [None, "39", None]
    assert items["duration_ms"].to_list() == [87433, None, 5000]
    assert items["uploaded_ms"][0] == clock.parse("2022-04-10T00:00+08:00")
    assert attributes(tables.items) == ["video_type", "upload_type", "music", "second_tag"]
    assert tables.users.columns == ["user_id", "user_active_degree", "follow_user_num_range", "onehot_feat3"]


def test_a_log_without_tab_and_is_rand_is_read(tmp_path):
    layout(tmp_path / "data", "1k", {"log_standard_4_22_to_5_08_1k": [row(3, 0, 0)]})
    path = tmp_path / "data/log_standard_4_22_to_5_08_1k.csv"
    pl.read_csv(path).drop("tab", "is_rand", "profile_stay_time").write_csv(path)
    assert {"surface", "randomly_exposed"}.isdisjoint(read(tmp_path, "1k").events.columns)


def test_missing_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"no log_standard_\*_27k\*\.csv.*--download"):
        read(tmp_path, "27k")
    layout(tmp_path / "data", "pure", {"log_standard_4_22_to_5_08_pure": [row(3, 0, 0)]})
    with pytest.raises(DataError, match="no log_standard"):
        read(tmp_path, "1k")
    (tmp_path / "data/user_features_pure.csv").unlink()
    with pytest.raises(DataError, match=r"user_features_pure\.csv: missing"):
        read(tmp_path)


def test_bad_rows_are_named(tmp_path):
    name = "log_standard_4_22_to_5_08_pure"
    layout(tmp_path / "data", "pure", {name: [row(3, 0, 0), row(4, 99, 5)]})
    with pytest.raises(DataError, match=rf"{name}\.csv: row 3, column video_id: '99' is not in video_features_basic"):
        read(tmp_path)
    log = tmp_path / f"data/{name}.csv"
    log.write_text(LOG_HEADER + row(3, 0, 0) + row(4, 1, 5)[:30])
    with pytest.raises(DataError, match=r"row 3: \d+ fields where the header has 19: cut short"):
        read(tmp_path)
    quarantine = Quarantine(enabled=True)
    assert len(read(tmp_path, quarantine=quarantine).events) == 1
    assert len(quarantine.frame()) == 1
    log.write_text((LOG_HEADER + row(3, 0, 0)).replace("is_hate", "hate"))
    with pytest.raises(DataError, match="no column 'is_hate'"):
        read(tmp_path)


HISTORIES = pl.DataFrame(
    {
        "user_id": [3, 9],
        "watch_seq": [[0, 0, 1, 0], [2]],
        "like_seq": [[1], []],
        "long_watch_seq": [[2, 1], []],
    },
    schema_overrides={name: pl.List(pl.Int64) for name in ("watch_seq", "like_seq", "long_watch_seq")},
)


def test_earlier_history_becomes_events_in_order(tmp_path):
    layout(tmp_path / "data", "pure", {"log_standard_4_22_to_5_08_pure": [row(3, 0, 0), row(4, 1, 5)]})
    HISTORIES.write_parquet(tmp_path / official.HISTORY)
    tables = read(tmp_path)
    # Video 2 was long-viewed before the last four; video 0 twice in a row was logged twice.
    assert tables.earlier.select("user_id", "item_id", "long_view", "like").rows() == [
        (3, 2, 1, 0),
        (3, 0, 0, 0),
        (3, 1, 1, 1),
        (3, 0, 0, 0),
        (9, 2, 0, 0),
    ]
    assert tables.notes == (f"{official.HISTORY}: 5 events read, 1 more merged: the same video twice in a row",)
    assert read(tmp_path, earlier_history=False).earlier is None


def test_a_log_that_goes_back_further_needs_no_history(tmp_path):
    early = row(3, 0, -20 * 86_400)
    layout(tmp_path / "data", "pure", {"log_standard_4_08_to_4_21_pure": [early, row(4, 1, 5)]})
    HISTORIES.write_parquet(tmp_path / official.HISTORY)
    tables = read(tmp_path)
    assert tables.earlier is None
    assert "left out" in tables.notes[0]


def test_a_bad_history_is_named(tmp_path):
    path = tmp_path / official.HISTORY

    def fault(content):
        content.write_parquet(path)
        with pytest.raises(DataError) as caught:
            official.read_history(path, pl.Series([0, 1]))
        return str(caught.value)

    assert "item 2 of user 3 is no known video" in fault(HISTORIES)
    assert "no column 'like_seq'" in fault(HISTORIES.drop("like_seq"))
    assert "column like_seq holds no lists" in fault(HISTORIES.with_columns(like_seq=1))
    assert "column user_id or its lists hold no whole numbers" in fault(HISTORIES.with_columns(user_id=pl.lit("ann")))
    HISTORIES.write_parquet(path)
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataError, match="cut short"):
        official.read_history(path, pl.Series([0, 1, 2]))


@pytest.mark.skipif("HEED_DATA" not in os.environ, reason="HEED_DATA is not set: it names the folder of kuairand_pure/")
def test_the_real_slice():
    folder = Path(os.environ["HEED_DATA"]) / "kuairand_pure"
    tables = read(folder)
    pure = named("kuairand_pure")
    moments = {"valid_start_ms": clock.parse(pure.valid_start), "test_start_ms": clock.parse(pure.test_start)}
    made = assemble(tables, **moments)
    counts = made.fields["counts"]
    assert counts["read"] == 185_061
    assert counts["kept"] == pl.struct("user_id", "item_id", "timestamp_ms").pipe(
        lambda key: tables.events.select(key.n_unique()).item()
    )
    assert len(made.items) == 1 + 7_583

    # Boundaries against the log's own days: a row is never received before it happens, and soon after.
    log = pl.read_csv(folder / "data/log_standard_4_22_to_5_08_pure.csv", columns=["date", "time_ms", "is_hate"])
    for moment, day in ((moments["valid_start_ms"], 20220503), (moments["test_start_ms"], 20220504)):
        later_by_date, later_by_time = log["date"] >= day, log["time_ms"] >= moment
        assert not (later_by_time & ~later_by_date).any()
        assert (later_by_date & ~later_by_time).sum() / len(log) < 0.002
    assert log["is_hate"].sum() == 157
