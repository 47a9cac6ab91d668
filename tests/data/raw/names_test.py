import pytest

from data.raw import names

KNOWN = {"user_id", "play_ms", "like", "dislike", "creator_id", "timestamp_ms"}


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("dislikes", "dislike"),
        ("disliike", "dislike"),
        ("playMs", "play_ms"),
        ("Play MS", "play_ms"),
        ("watch_seconds", "play_ms"),
        ("author", "creator_id"),
        ("userId", "user_id"),
        ("remark", None),
        ("", None),
        ("duration", None),  # duration_ms is not among those that are known here
    ],
)
def test_the_nearest_known_name(name, meant):
    assert names.meant(name, KNOWN) == meant


@pytest.mark.parametrize(
    "name", ["created_at", "createdAt", "listed_at", "publish_time", "publish_date", "pub_date", "publication_date"]
)
def test_a_time_of_an_item_is_since_when_it_is_there(name):
    assert names.named(name, {"item_id", "uploaded_ms"}) == "uploaded_ms"


def test_what_is_created_with_an_event_is_its_time():
    assert names.named("created_at", {"timestamp_ms", "uploaded_ms"}) == "timestamp_ms"


def test_white_space_around_a_name_is_seen():
    assert names.asked([" play_ms", "", "x"], KNOWN) == ["' play_ms' (did you mean play_ms?)", "''", "x"]


def test_every_other_word_is_for_one_column():
    words = [word for also in names._ALSO_CALLED.values() for word in also.split()]
    assert len(words) == len(set(words)), sorted(word for word in words if words.count(word) > 1)
