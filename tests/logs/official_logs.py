"""Small logs in the official layouts of public ones: each function writes one into a folder, the same every time.

A user meets an item of a few, likes those of one half of them and says no to some of the others, over the time that
the reader's split wants, so that a model can be trained on what comes out.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

USERS, ITEMS, EVENTS = 12, 40, 30  # events of each user


def meetings() -> Iterator[tuple[int, int, float]]:
    """(user, item, when), when from 0 to 1, in order of time; nobody meets an item twice."""
    for event in range(EVENTS):
        for user in range(USERS):
            yield user, (7 * user + 3 * event) % ITEMS, (event * USERS + user) / (USERS * EVENTS - 1)


def likes(user: int, item: int) -> bool:
    """Whether a user likes an item."""
    return (user + item) % 2 == 0


def says_no(user: int, item: int) -> bool:
    """Whether a user says no to an item; nobody says no to what they like."""
    return not likes(user, item) and (user + item) % 3 == 0


def movielens_100k(folder: Path) -> int:
    """ml-100k/, and how many ratings it has."""
    place = folder / "ml-100k"
    place.mkdir(parents=True)
    ratings = [
        f"{1 + user}\t{1 + item}\t{_stars(user, item):.0f}\t{874_724_710 + int(1e6 * when)}"
        for user, item, when in meetings()
    ]
    genre_columns = 19
    films = []
    for item in range(ITEMS):
        flags = "|".join(str(int(at in (5, 6 + item % 4))) for at in range(genre_columns))
        films.append(f"{1 + item}|Café {item} ({1960 + item})|01-Jan-{1960 + item}||http://example.com/{item}|{flags}")
    people = [f"{1 + user}|{18 + user}|{'MF'[user % 2]}|student|0206{user}" for user in range(USERS)]
    for name, lines in (("data", ratings), ("item", films), ("user", people)):
        (place / f"u.{name}").write_text("\n".join(lines) + "\n", encoding="iso-8859-1")
    return len(ratings)


def movielens_1m(folder: Path) -> int:
    """ml-1m/, and how many ratings it has."""
    place = folder / "ml-1m"
    place.mkdir(parents=True)
    ratings = [
        f"{1 + user}::{1 + item}::{_stars(user, item):.0f}::{956_703_932 + int(1e6 * when)}"
        for user, item, when in meetings()
    ]
    films = [f"{1 + item}::Café {item} ({1960 + item})::Comedy|Genre {item % 4}" for item in range(ITEMS)]
    people = [
        f"{1 + user}::{'MF'[user % 2]}::{(18, 25, 35)[user % 3]}::{user % 5}::0206{user}" for user in range(USERS)
    ]
    for name, lines in (("ratings", ratings), ("movies", films), ("users", people)):
        (place / f"{name}.dat").write_text("\n".join(lines) + "\n", encoding="iso-8859-1")
    return len(ratings)


def movielens_csv(folder: Path, archive: str) -> int:
    """ml-20m/ or ml-25m/, and how many ratings it has."""
    place = folder / archive
    place.mkdir(parents=True)
    ratings = [
        f"{1 + user},{1 + item},{_stars(user, item)},{789_652_009 + int(7e8 * when)}" for user, item, when in meetings()
    ]
    films = [
        f'{1 + item},"Comédie, une ({1960 + item})",{f"Drama|Genre {item % 4}" if item % 9 else "(no genres listed)"}'
        for item in range(ITEMS)
    ]
    (place / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *ratings]) + "\n")
    (place / "movies.csv").write_text("\n".join(["movieId,title,genres", *films]) + "\n")
    (place / "tags.csv").write_text("userId,movieId,tag,timestamp\n")
    return len(ratings)


def _stars(user: int, item: int) -> float:
    return 4.5 if likes(user, item) else 1.5 if says_no(user, item) else 3.0


def yambda(folder: Path, size: str, *, in_one: bool = True, last_s: int = 26_000_000) -> dict[str, int]:
    """flat/SIZE/, the artists and the embeddings, and how many events there are of each kind.

    Every like is followed by an unlike after ten steps of five seconds where the item's number is a multiple of four.
    """
    place = folder / "flat" / size
    place.mkdir(parents=True)
    rows = []
    for user, item, when in meetings():
        # Denser towards the end, whose last two days are those of validation and test.
        time = 5 * int(last_s * (1 - (1 - when) ** 4) / 5)
        ratio = 100 if likes(user, item) else 40
        rows.append((10 * user, time, 1 + item, user % 2, "listen", ratio, 170))
        said = [("like", 5), ("unlike", 55)] if likes(user, item) else [("dislike", 5)] if says_no(user, item) else []
        for kind, later in said:
            if kind != "unlike" or item % 4 == 0:
                rows.append((10 * user, min(time + later, last_s), 1 + item, 1, kind, None, None))
    schema = {
        "uid": pl.UInt32,
        "timestamp": pl.UInt32,
        "item_id": pl.UInt32,
        "is_organic": pl.UInt8,
        "event_type": pl.Enum(["listen", "dislike", "like", "undislike", "unlike"]),
        "played_ratio_pct": pl.UInt16,
        "track_length_seconds": pl.UInt32,
    }
    events = pl.DataFrame(rows, schema=schema, orient="row").sort("uid", "timestamp", maintain_order=True)
    if in_one:
        events.write_parquet(place / "multi_event.parquet")
    else:
        for (kind,), of_kind in events.group_by("event_type"):
            kept = of_kind.drop("event_type")
            kept = kept if kind == "listen" else kept.drop("played_ratio_pct", "track_length_seconds")
            kept.write_parquet(place / f"{kind}s.parquet")
    tracks = pl.Series(range(1, ITEMS + 20), dtype=pl.UInt32)
    mapped = pl.DataFrame({"artist_id": tracks % 7, "item_id": tracks})
    pl.concat([mapped, mapped.with_columns(artist_id=99).head(3).cast(mapped.schema)]).write_parquet(
        folder / "artist_item_mapping.parquet"
    )
    vectors = np.random.default_rng(0).normal(size=(len(tracks), 8))
    pl.DataFrame(
        {"item_id": tracks, "embed": vectors.tolist(), "normalized_embed": _unit(vectors).tolist()}
    ).write_parquet(folder / "embeddings.parquet")
    return dict(events["event_type"].cast(pl.String).value_counts().rows())


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def vk_lsvd(folder: Path, *, subsample: str = "") -> int:
    """interactions/ or subsamples/NAME/, with metadata, and how many plays there are."""
    place = folder / "subsamples" / subsample if subsample else folder / "interactions"
    plays = [
        (user, item, user % 3, 1, 2, 40 if likes(user, item) else 1, likes(user, item), says_no(user, item), item == 5)
        for user, item, _ in meetings()
    ]
    names = ("user_id", "item_id", "place", "platform", "agent", "timespent", "like", "dislike", "share")
    table = pl.DataFrame(plays, schema=list(names), orient="row").with_columns(
        pl.col("user_id", "item_id").cast(pl.UInt32),
        pl.col("place", "platform", "agent", "timespent").cast(pl.UInt8),
        bookmark=pl.col("item_id") == 7,
        click_on_author=False,
        open_comments=True,
    )
    edges = [0, 40, 250, 300, len(table)]  # weeks 0, 1, 25 and 26
    weeks = ("train/week_00", "train/week_01", "validation/week_25", "test/week_26")
    for name, begin, end in zip(weeks, edges[:-1], edges[1:], strict=True):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        table.slice(begin, end - begin).write_parquet(place / f"{name}.parquet")
    metadata = folder / "metadata"
    metadata.mkdir()
    items = pl.Series("item_id", range(ITEMS + 5), dtype=pl.UInt32)
    pl.DataFrame(
        {"item_id": items, "author_id": items % 6, "duration": items % 60 + 5, "train_interactions_rank": items}
    ).cast({"duration": pl.UInt8}).write_parquet(metadata / "items_metadata.parquet")
    users = pl.Series("user_id", range(USERS + 5), dtype=pl.UInt32)
    pl.DataFrame(
        {
            "user_id": users,
            "age": users % 9 + 20,
            "gender": users % 2,
            "geo": users % 4,
            "train_interactions_rank": users,
        }
    ).cast({"age": pl.UInt8, "gender": pl.UInt8, "geo": pl.UInt8}).write_parquet(metadata / "users_metadata.parquet")
    vectors = np.random.default_rng(0).normal(size=(len(items), 64)).astype(np.float16)
    np.savez(metadata / "item_embeddings.npz", item_id=items.to_numpy()[::-1], embedding=vectors[::-1])
    return len(plays)


def tsinghua_shortvideo(folder: Path, *, name: str = "interaciton_filtered.csv", extract: bool = False) -> int:
    """The one CSV file, and how many exposures it has; an `extract` repeats each row for a second tag of its video."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = []
    for user, item, when in meetings():
        liked = likes(user, item)
        exposure = {
            "user_id": user,
            "pid": 84_199_269_992 + item,
            "exposed_time": 1_663_333_100 + int(6e5 * when),
            "p_date": 20220916,
            "p_hour": 21,
            "watch_time": 46 if liked else 1,
            "cvm_like": liked,
            "comment": False,
            "follow": False,
            "collect": item == 9,
            "forward": item == 4,
            ("click" if extract else "effective_view"): liked,
            "hate": says_no(user, item),
            "category_level": 3,
            "category_id": 1300 + item,
            "parent_id": 280 + item % 8,
            "root_id": 30 + item % 4,
            "duration": 138.566 if item % 2 else 9,
            "author_id": item % 6,
            "author_fans_count": 138_211,
            "tag_name": f"tag {item % 5}",
            "title": f"Catch lobsters, under the sea {item}",
            "gender": "MF"[user % 2],
            "age": 34 + user % 3,
            "mod_price": 1899,
            "fre_city": "Shanghai",
            "fre_community_type": "country",
            "fre_city_level": "first-tier city",
        }
        rows += [exposure, {**exposure, "tag_name": "second"}] if extract else [exposure]
    table = pl.DataFrame(rows)
    flags = [name for name, dtype in table.schema.items() if dtype == pl.Boolean]
    words = {name: pl.when(pl.col(name)).then(pl.lit("True")).otherwise(pl.lit("False")) for name in flags}
    table.with_columns(**words).write_csv(folder / name)
    return len(rows)


def kuairand(folder: Path, version: str) -> int:
    """The files of KuaiRand-1K or -27K, its logs in parts as these have them, and how many rows the logs have."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = (
        "user_id,video_id,date,hourmin,time_ms,is_click,is_like,is_follow,is_comment,is_forward,is_hate,long_view,"
        "play_time_ms,duration_ms,profile_stay_time,comment_stay_time,is_profile_enter,is_rand,tab"
    )
    # From 8 April to 8 May in China, denser towards the end; validation and test begin on 3 and 4 May.
    begin, length = 1_649_350_000_000, 31 * 86_400_000 - 60_000_000
    rows = []
    for user, item, when in meetings():
        liked = likes(user, item)
        time = begin + int(length * (1 - (1 - when) ** 2))
        said = f"{int(liked)},{int(liked)},0,0,0,{int(says_no(user, item))},{int(liked)}"
        rows.append(f"{user},{item},20220409,900,{time},{said},{20_000 if liked else 900},30000,0,0,0,{{rand}},1")
    parts = {"1k": ("",), "27k": ("_part1", "_part2")}[version]
    logs = {f"log_standard_4_08_to_4_21_{version}{part}": rows[at : 200 : len(parts)] for at, part in enumerate(parts)}
    logs |= {
        f"log_standard_4_22_to_5_08_{version}{part}": rows[200 + at : -20 : len(parts)] for at, part in enumerate(parts)
    }
    logs[f"log_random_4_22_to_5_08_{version}"] = rows[-20:]
    for name, lines in logs.items():
        text = "\n".join([columns, *(line.format(rand=int("random" in name)) for line in lines)])
        (folder / f"{name}.csv").write_text(text + "\n")
    videos = [
        f"{item},{item % 6},NORMAL,2022-04-0{1 + item % 7},Web,{item % 3},30000,{item % 4}" for item in range(ITEMS)
    ]
    header = "video_id,author_id,video_type,upload_dt,upload_type,music_id,video_duration,tag"
    (folder / f"video_features_basic_{version}.csv").write_text("\n".join([header, *videos]) + "\n")
    people = [f"{user},full_active,{user}" for user in range(USERS)]
    (folder / f"user_features_{version}.csv").write_text(
        "\n".join(["user_id,user_active_degree,onehot_feat0", *people])
    )
    return len(rows)
