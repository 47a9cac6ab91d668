"""What a simulated user can do with an item, by name, as the dwell bucket and feedback bits a recommender reads.

A name is a play, and after each '+' one more explicit reaction to it: `long_watch+dislike` is a long watch that ends in
"not interested", and differs from `long_watch` in the dislike bit alone. Play times are the medians of such plays in
KuaiRand-Pure, and whether a play counts as clicked is what most of them do there. What is `met` has no play time, as in
a log without any.
"""

from dataclasses import dataclass
from typing import Self

from data import feedback
from runtime.errors import UsageError

# name -> (play time in ms, negative where unknown, what is logged with it); the skip bit follows from the play time
PLAYS: dict[str, tuple[int, tuple[str, ...]]] = {
    "skip": (1_300, ()),  # under 3 s
    "quit_early": (4_200, ()),  # 3 to 6 s: neither skipped nor watched
    "medium_watch": (9_600, ("click",)),  # 6 s and more, short of a long view
    "long_watch": (40_000, ("click", "long_view")),
    "met": (-1, ("click",)),  # for how long is unknown
}
REACTIONS = ("like", "follow", "comment", "share", "dislike")


@dataclass(frozen=True)
class Action:
    """One event's dwell bucket and feedback bitmask, as `data/feedback.py` defines them."""

    name: str
    dwell: int
    feedback: int

    @classmethod
    def of_event(cls, dwell: int, bits: int) -> Self:
        """The action that a logged event comes closest to, by name; its dwell and feedback stay those of the event."""
        logged = (name for name in ("skip", "long_view", "click") if feedback.has(bits, name))
        play = {"skip": "skip", "long_view": "long_watch", "click": "medium_watch"}.get(next(logged, ""), "quit_early")
        if dwell == feedback.DWELL_UNKNOWN and play != "long_watch":  # nobody knows for how long
            play = "met"
        reactions = [name for name in REACTIONS if feedback.has(bits, name)]
        return cls("+".join([play, *reactions]), int(dwell), int(bits))

    @classmethod
    def parse(cls, name: str) -> Self:
        """The action of that name. Errors: UsageError with the known names; a liked play is no skip."""
        play, *reactions = name.split("+")
        unknown = [play] * (play not in PLAYS) + [part for part in reactions if part not in REACTIONS]
        if unknown:
            raise UsageError(
                f"action '{name}': '{unknown[0]}' is not known; write one of {', '.join(PLAYS)}, "
                f"then any of +{', +'.join(REACTIONS)}"
            )
        play_ms, logged = PLAYS[play]
        bits = feedback.mask_of([*logged, *reactions])
        if feedback.is_skip(bits, play_ms):
            bits |= feedback.mask_of(["skip"])
        elif play == "skip":
            raise UsageError(f"action '{name}': a play with a positive reaction is no skip; write quit_early instead")
        return cls(name, int(feedback.dwell_bucket(play_ms)), bits)
