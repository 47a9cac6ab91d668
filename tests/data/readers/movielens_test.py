import pytest

from data.raw.quarantine import Quarantine
from data.readers.movielens import layouts as movielens
from runtime.errors import DataError
from tests.logs import official_logs

RATINGS = ["1::1193::5::978300760", "1::661::3::978302109", "2::1193::2::978298413", "2::661::1::978300019"]
FILMS = ["661::James and the Giant Peach (1996)::Animation|Children's|Musical", "1193::Amélie::Drama"]
PEOPLE = ["1::F::1::10::48067", "2::M::56::16::70072"]


def write(folder, ratings=RATINGS, films=FILMS, people=PEOPLE, end="\n"):
    folder.mkdir(parents=True, exist_ok=True)
    for name, lines in (("ratings", ratings), ("movies", films), ("users", people)):
        (folder / f"{name}.dat").write_bytes(end.join([*lines, ""]).encode("iso-8859-1"))


def read(folder, archive="ml-1m", quarantine=None):
    return movielens.read_movielens(folder, archive, quarantine=quarantine or Quarantine())


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_1m_separates_fields_by_two_colons(tmp_path, end):
    write(tmp_path / "ml-1m", end=end)
    tables = read(tmp_path)
    assert tables.events.columns == ["user_id", "item_id", "like", "dislike", "timestamp_ms"]
    assert tables.events.rows() == [
        (1, 1193, 1, 0, 978_300_760_000),
        (1, 661, 0, 0, 978_302_109_000),
        (2, 1193, 0, 1, 978_298_413_000),
        (2, 661, 0, 1, 978_300_019_000),
    ]
    assert tables.items.rows() == [
        (661, "James and the Giant Peach (1996)", ["Animation", "Children's", "Musical"], 1996.0),
        (1193, "Amélie", ["Drama"], None),
    ]
    assert tables.users.rows() == [(1, "F", "1", "10"), (2, "M", "56", "16")]
    assert tables.rows_read == 4


def test_100k_has_a_column_of_each_genre(tmp_path):
    official_logs.movielens_100k(tmp_path)
    tables = read(tmp_path, "ml-100k")
    assert tables.events.columns == ["user_id", "item_id", "like", "dislike", "timestamp_ms"]
    assert tables.events.row(0) == (1, 1, 1, 0, 874_724_710_000)
    # Columns 5 and 6 + item % 4 of u.genre.
    assert tables.items.rows()[:2] == [
        (1, "Café 0 (1960)", ["Comedy", "Crime"], 1960.0),
        (2, "Café 1 (1961)", ["Comedy", "Documentary"], 1961.0),
    ]
    assert tables.users.row(1) == (2, "F", "19", "student")
    (tmp_path / "ml-100k/u.data").write_text("1\t1\t5\t874724710\n1\t2\t9\t874724711\n")
    with pytest.raises(
        DataError, match=r"u\.data: row 2, column rating: '9' is not a number of stars from 0\.5 to 5; mend"
    ):
        read(tmp_path, "ml-100k")


def test_100k_is_read_as_recbole_has_it(tmp_path):
    header = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
    ratings = ["196\t242\t3\t881250949", "186\t2\t1\t891717742"]
    films = ["2\tGoldenEye\t1995\tAction Sci-Fi", "242\tKolya\t1996\tComedy", "267\tunknown\t\tunknown"]
    people = ["186\t39\tF\texecutive\t00000", "196\t49\tM\twriter\t55105"]
    for name, lines in (("inter", [header, *ratings]), ("item", ["", *films]), ("user", ["", *people])):
        (tmp_path / f"ml-100k.{name}").write_text("\n".join(lines) + "\n")
    tables = read(tmp_path, "ml-100k")
    assert tables.events.rows() == [(196, 242, 0, 0, 881_250_949_000), (186, 2, 0, 1, 891_717_742_000)]
    assert tables.items.rows() == [
        (2, "GoldenEye", ["Action", "Sci-Fi"], 1995.0),
        (242, "Kolya", ["Comedy"], 1996.0),
        (267, "unknown", None, None),
    ]
    assert tables.users.rows() == [(186, "F", "39", "executive"), (196, "M", "49", "writer")]
    (tmp_path / "ml-100k.inter").write_text("\n".join([header, ratings[0], "186\t2"]) + "\n")
    with pytest.raises(DataError, match=r"ml-100k\.inter: row 3: 2 fields where there are 4: cut short or broken"):
        read(tmp_path, "ml-100k")


def test_half_stars_and_films_without_a_genre_in_csv(tmp_path):
    folder = tmp_path / "ml-25m"
    folder.mkdir()
    stars = ["0.5", "2.0", "2.5", "3.5", "4.0", "5.0"]
    lines = [f"1,{1 + at},{star},{1_147_880_044 + at}" for at, star in enumerate(stars)]
    (folder / "ratings.csv").write_text("\n".join(["userId,movieId,rating,timestamp", *lines]) + "\n")
    films = [f'{1 + at},"Film, a (19{90 + at})",(no genres listed)' for at in range(len(stars))]
    (folder / "movies.csv").write_text("\n".join(["movieId,title,genres", *films]) + "\n")
    tables = read(folder, "ml-25m")  # the folder of the files does as well
    assert tables.events["dislike"].to_list() == [1, 1, 0, 0, 0, 0]
    assert tables.events["like"].to_list() == [0, 0, 0, 0, 1, 1]
    assert tables.items["cluster_id"].to_list() == [None] * 6
    assert tables.items["year"].to_list() == [1990, 1991, 1992, 1993, 1994, 1995]
    assert tables.users is None


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("2::661::6::978300019", "row 4, column rating: '6' is not a number of stars from 0.5 to 5; mend the row"),
        ("2::661::1", "row 4: 3 fields where there are 4: cut short or broken"),
        ("2::99::1::978300019", "row 4, column movieId: '99' is not in movies.dat"),
        ("2::661::1::4000000000", "row 4, column timestamp: '4000000000' is above 20"),
        ("2::661::1::978300", "row 4, column timestamp: '978300' is below 1995-01-01T00:00:00Z; times are seconds"),
        ("::661::1::978300019", "row 4, column userId is empty"),
    ],
)
def test_bad_rows_are_named(tmp_path, row, told):
    write(tmp_path / "ml-1m", ratings=[*RATINGS[:3], row])
    with pytest.raises(DataError) as caught:
        read(tmp_path)
    assert told.replace(" is empty", ":") in str(caught.value)
    quarantine = Quarantine(enabled=True)
    assert len(read(tmp_path, quarantine=quarantine).events) == 3
    assert len(quarantine.frame()) == 1


def test_missing_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"ml-20m/ratings\.csv: no such file; check --data, or give --download"):
        movielens.source_files(tmp_path, "ml-20m")
    official_logs.movielens_1m(tmp_path)
    (tmp_path / "ml-1m/movies.dat").unlink()
    with pytest.raises(DataError, match=r"movies\.dat: no such file"):
        read(tmp_path)
