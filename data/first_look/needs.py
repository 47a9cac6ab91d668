"""What a log lacks for which part of Heed, and what would have to be logged."""

from collections.abc import Callable
from dataclasses import dataclass

from data.feedback import POSITIVE_LABELS
from data.traits import Traits


@dataclass(frozen=True)
class Need:
    """part: of Heed. met: whether a log has what it takes. takes: what that is, in Heed's names."""

    part: str
    met: Callable[[Traits], bool]
    takes: str


NEEDS = (
    Need(
        "any model",
        lambda log: any(log.feedback.get(name) for name in (*POSITIVE_LABELS, "click")),
        "something that people liked: like, long_view, follow, share or click, or play_ms",
    ),
    Need("models that learn from dislikes", lambda log: bool(log.feedback.get("dislike")), "dislike"),
    Need("models that learn from skips", lambda log: bool(log.feedback.get("skip")), "play_ms, with plays under 3 s"),
    Need("ranking by watch time", lambda log: log.play_times, "play_ms, and duration_ms, too"),
    Need(
        "satisfaction",
        lambda log: log.questionnaires or bool(log.feedback.get("like") and log.feedback.get("dislike")),
        "questionnaire_answer, or like and dislike",
    ),
    Need("responsiveness by content", lambda log: log.clusters, "cluster_id of items"),
    Need("responsiveness by creator", lambda log: log.creators, "creator_id of items"),
    Need("a judge of what is alike that no model has learned", lambda log: log.embeddings, "lists of numbers of items"),
    Need("candidates that are there at the moment", lambda log: log.uploads, "uploaded_ms of items"),
    Need("off-policy estimates", lambda log: log.random_exposures, "randomly_exposed"),
)


def lines(log: Traits) -> list[str]:
    """A line for each part that the log lacks something for."""
    return [f"missing for {need.part}: {need.takes}" for need in NEEDS if not need.met(log)]
