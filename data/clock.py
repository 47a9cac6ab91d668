"""Moments as people write them and as logs store them: ISO 8601 text and milliseconds since 1970."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse(text: str) -> int:
    """`2022-05-03T00:00+08:00` as milliseconds since 1970, in UTC where it has no offset; ValueError for other text."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def show(milliseconds: int) -> str:
    """Milliseconds since 1970 as ISO 8601 text in UTC, to the second."""
    return (_EPOCH + timedelta(milliseconds=int(milliseconds))).isoformat(timespec="seconds").replace("+00:00", "Z")
