"""MovieLens (Harper and Konstan, TiiS 2015), ratings of films: 100K and 1M in lines of text, 20M and 25M in CSV.

The layouts are those of GroupLens' READMEs. A folder holds, itself or in the folder that the archive unpacks to,

    ml-100k/u.data        user, film, rating, timestamp, separated by tabs
    ml-100k/u.item        film|title|release date|video release date|address|19 times 0 or 1, of each genre
    ml-100k/u.user        user|age|gender|occupation|zip code
    ml-1m/ratings.dat     UserID::MovieID::Rating::Timestamp
    ml-1m/movies.dat      MovieID::Title::Genres, genres separated by |
    ml-1m/users.dat       UserID::Gender::Age::Occupation::Zip-code
    ml-20m/, ml-25m/      ratings.csv (userId,movieId,rating,timestamp), movies.csv (movieId,title,genres)

those of lines in ISO-8859-1. 100K is also read as packages of RecBole have it, dataset_example/: ml-100k.inter, .item
and .user, tabs between fields, genres separated by spaces. Tags, links and the genome are not read.

What becomes of it. A rating of 2 stars or fewer is a `dislike`, one of 4 or more a `like`; what lies between is an
event without either. Times are seconds since 1970. A film's clusters are its genres, the first of which stands for it
where one is asked for; the year in its title, or beside it, is a number; of users, up to 1M, gender, age and occupation
are read.
There are no play times, so nothing is a skip, and no creators. Ratings of a user in the same second keep the order of
the file.

Licence: for research, not to be sold, and up to 1M not to be handed on, so `--download` fetches them from GroupLens.
Their sha256 are those that TensorFlow Datasets has (url_checksums/movielens.txt).

Memory: `data.prepare` took 1.0 GB for 3 million made-up ratings in CSV, so some 8 GB for the 25 million.
"""

from collections.abc import Mapping
from typing import Any

from data.readers import Dataset, later
from data.traits import Traits

_LAYOUTS = "data.readers.movielens.layouts"
# A sixth of its ratings are noes, so that light weights of them move as much as heavy ones elsewhere. It is small: all
# that it shows is measured in minutes.
_100K = {
    "plain": ("no_dislike_signal", "dislike_input", "dislike_input_paper_tower"),
    "weights": {
        "dislike_input_and_label": (30.0, 100.0, 300.0),
        "dislike_input_and_label_paper_tower": (100.0,),
    },
    "final": False,
    "systems": (),
    "experiments": {"replayed": ("served", "reference", "paper_tower")},
}


def _archive(
    size: str, events: int, likes: float, dislikes: float, users: str, pipeline: Mapping[str, Any] | None = None
) -> Dataset:
    archive = f"ml-{size}"
    return Dataset(
        name=f"movielens_{size}",
        description=f"MovieLens {size.upper()}: {users} users; ratings up to 2 stars are dislikes, from 4 likes",
        source_files=later(f"{_LAYOUTS}.source_files", archive=archive),
        read=later(f"{_LAYOUTS}.read_movielens", archive=archive),
        download=later(f"{_LAYOUTS}.download", archive=archive),
        traits=Traits(events, {"like": likes, "dislike": dislikes}, clusters=True),
        settings={"pipeline": pipeline} if pipeline else {},
    )


DATASETS = (
    _archive("100k", 100_000, 0.554, 0.175, "943", _100K),
    _archive("1m", 1_000_209, 0.575, 0.164, "6,040"),
    _archive("20m", 20_000_263, 0.5, 0.132, "138,493"),
    _archive("25m", 25_000_095, 0.5, 0.13, "162,541"),
)
