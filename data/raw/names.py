"""Tells which column of Heed's a column of a log was probably meant to be, by its name."""

import difflib
import re
from collections.abc import Iterable, Sequence

# What other logs call them, in lower case, words joined by _.
_ALSO_CALLED = {
    "user_id": "user uid userid usr usr_id viewer viewer_id member_id customer customer_id profile_id account_id "
    "device_id",
    "item_id": "item iid itemid video video_id vid product_id content_id post_id track_id song_id movie_id article_id",
    "timestamp_ms": "timestamp time ts datetime date event_time created_at time_ms timestamp_s unix_time",
    "surface": "tab page place placement screen feed",
    "play_ms": "play play_time play_time_ms play_seconds play_s playtime watch_ms watch_time watch_seconds watched "
    "watched_ms watched_seconds timespent time_spent dwell dwell_ms dwell_time listened_ms listen_time view_time",
    "duration_ms": "duration duration_s duration_seconds length length_ms length_seconds video_duration runtime",
    "click": "clicked is_click clicks open opened tap tapped",
    "long_view": "complete completed finish finished is_long_view full_view effective_view",
    "like": "liked is_like likes heart hearts favorite favorited favourite upvote thumbs_up loved save saved bookmark "
    "bookmarked collect",
    "follow": "followed is_follow follows subscribe subscribed",
    "comment": "commented is_comment comments reply replied",
    "share": "shared is_share shares forward is_forward forwarded repost retweet",
    "dislike": "disliked is_dislike dislikes hate hated is_hate not_interested thumbs_down downvote hide hidden report "
    "reported block blocked mute muted dismiss dismissed",
    "creator_id": "creator author author_id uploader uploader_id artist artist_id channel channel_id seller owner",
    "cluster_id": "cluster topic topic_id genre genres category category_id tag tags",
    "title": "name headline caption item_name item_title",
    "uploaded_ms": "uploaded upload_time upload_dt upload_date uploaded_at published published_at publish_time "
    "publish_date published_date pub_date pubdate publication_date listed listed_at created release_date",
    "questionnaire_answer": "answer survey_answer satisfied satisfaction",
    "questionnaire_shown": "survey_shown asked",
    "randomly_exposed": "is_rand random is_random",
}
_CANONICAL = {also: name for name, names in _ALSO_CALLED.items() for also in names.split()}
# Of an item, what for an event is another column: where the first of them is not asked for.
_OF_ITEMS = {"created_at": "uploaded_ms"}
# These say so of some logs alone: a film came out long before a service had it.
_PERHAPS = {"release_date"}
_UNIT = r"_(s|secs?|seconds?|ms|msec|millis|us|min|mins|minutes)$"
_ALIKE = 0.8  # difflib's ratio


def named(name: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `name` is, written another way or another word for it; None where it is none of them."""
    known = set(known)
    plain = _plain(name)
    without_unit = re.sub(_UNIT, "", plain)
    found = (plain, _CANONICAL.get(plain), _CANONICAL.get(without_unit), _OF_ITEMS.get(plain))
    return next((canonical for canonical in found if canonical in known), None)


def is_telling(name: str) -> bool:
    """Whether what `named` says of a name holds for nearly all logs."""
    return _plain(name) not in _PERHAPS


def meant(name: str, known: Iterable[str]) -> str | None:
    """The same, or the one that `name` is written like; None where it is near none of them."""
    known = sorted({*known})
    found = named(name, known)
    return found or next(iter(difflib.get_close_matches(_plain(name), known, n=1, cutoff=_ALIKE)), None)


def _plain(name: str) -> str:
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name.strip())  # playMs
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def asked(names: Sequence[str], known: Iterable[str]) -> list[str]:
    """The names, each followed by what was probably meant by it: `dislikes (did you mean dislike?)`."""
    known = set(known)
    guesses = {name: meant(name, known) for name in names}
    shown = {name: name if name and name == name.strip() else f"'{name}'" for name in names}
    return [f"{shown[name]} (did you mean {guess}?)" if guess else shown[name] for name, guess in guesses.items()]
