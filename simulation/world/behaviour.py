"""What a user does with an item: watch, like, dislike, be satisfied, answer a questionnaire, have had enough.

The one behaviour model of the synthetic feeds, for the generator of a log and for whoever closes the loop with another
recommender. What interests people, and what they have had enough of, is their own affair (`People`): clusters and
creators in the first feed (simulation/world/population.py), points and caps of a latent sphere in the other
(simulation/world/latent/people.py). What one is averse to is watched less and disliked more. Every function takes n
exposures at once: `users` [n] and `items` [n] are rows of the people and of the catalogue of an `Environment`.
"""

import abc
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from data import feedback

# What a log has of reactions, besides play time and questionnaires; and what only whoever made the feed can know.
LOGGED = ("click", "long_view", "like", "follow", "comment", "share", "dislike")
HIDDEN = (
    "satisfied",
    "satisfaction_probability",
    "shown_propensity",
    "answered_propensity",
    "dislike_probability",
    "averse",
)


@dataclass(frozen=True)
class Environment:
    """Whom a recommender meets: people, the items there are, and the parameters of behaviour (configs/world.py)."""

    people: Any  # People
    catalogue: Any  # Catalogue
    config: Any


@dataclass(frozen=True)
class People(abc.ABC):
    """Users, U of them: what the behaviour model asks of them, of users [n] and items [n] beside each other."""

    willingness: np.ndarray  # [U] to answer questionnaires, standard normal
    readiness: np.ndarray  # [U] to press dislike on what they are averse to, a probability

    @abc.abstractmethod
    def interest_in(self, environment: Environment, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """In [0, 1]."""

    def follows(self, environment: Environment, users: np.ndarray, items: np.ndarray) -> np.ndarray | float:
        """Whether the item's creator is a favourite; 0, of nobody, by default."""
        del environment, users, items
        return 0.0

    @abc.abstractmethod
    def averse_to(self, environment: Environment, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Whether the user has had enough of what the item is."""

    def temper(self, kind: str, environment: Environment, users: np.ndarray) -> np.ndarray | float:
        """What is added to the log odds to `engage`, or to be `satisfied`; nothing by default."""
        del kind, environment, users
        return 0.0

    @abc.abstractmethod
    def take_in(
        self,
        rng: np.random.Generator,
        environment: Environment,
        users: np.ndarray,
        items: np.ndarray,
        engaged: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """After exposures: an enjoyed one may be one too many. Updates the people.

        Returns two masks [n]: for whom an aversion, to the item's cluster or what lies near it, has set in just now,
        and for whom one to its creator has.
        """

    def begin_session(
        self, rng: np.random.Generator, environment: Environment, users: np.ndarray, days: np.ndarray
    ) -> None:
        """Users come, at moments [n], days after the log's start and never before their last. Updates the people, or
        by default nothing."""
        del rng, environment, users, days


@dataclass(frozen=True)
class Reactions:
    """What came of n exposures; all arrays are [n]."""

    play_ms: np.ndarray
    click: np.ndarray
    long_view: np.ndarray
    like: np.ndarray
    comment: np.ndarray
    follow: np.ndarray
    share: np.ndarray
    dislike: np.ndarray
    questionnaire_shown: np.ndarray
    questionnaire_answered: np.ndarray
    satisfied: np.ndarray
    satisfaction_probability: np.ndarray
    shown_propensity: np.ndarray
    answered_propensity: np.ndarray  # given that it is shown
    dislike_probability: np.ndarray
    averse: np.ndarray  # its cluster, creator or region had turned sour

    @property
    def dwell(self) -> np.ndarray:
        """The bucket of the play time, int32 [n], as models read it."""
        return feedback.dwell_bucket(self.play_ms).astype(np.int32)

    @property
    def bits(self) -> np.ndarray:
        """The feedback that a log has of it, bits of data/feedback.py, int32 [n]."""
        columns = {name: getattr(self, name) for name in LOGGED}
        return feedback.to_bits(columns, play_ms=self.play_ms).astype(np.int32)


class Inclinations(NamedTuple):
    """What decides n exposures but for luck, [n] each: to engage, be satisfied, dislike; aversion, interest."""

    engage: np.ndarray
    satisfied: np.ndarray
    dislike: np.ndarray
    sour: np.ndarray
    interest: np.ndarray


def inclinations(environment: Environment, users: np.ndarray, items: np.ndarray) -> Inclinations:
    """Those of users [n] for items [n]."""
    people: People = environment.people
    catalogue, b = environment.catalogue, environment.config.behaviour
    interest = people.interest_in(environment, users, items)
    favourite = people.follows(environment, users, items)
    sour = people.averse_to(environment, users, items)
    quality, clickbait = catalogue.quality[items], catalogue.clickbait[items]

    def appeal(kind: str) -> np.ndarray:
        return sigmoid(
            b[kind]
            + b[f"{kind}_interest"] * interest
            + b[f"{kind}_favourite"] * favourite
            + b[f"{kind}_quality"] * quality
            + b[f"{kind}_clickbait"] * clickbait
            + b[f"{kind}_sour"] * sour
            + people.temper(kind, environment, users)
        )

    satisfied = appeal("satisfied")
    # Sourness does not look at dwell: a long view is as likely to end in a dislike as a glance.
    readiness = people.readiness[users]
    disappointment = np.minimum(b.dislike * (1 - satisfied) * readiness / b.dislike_sour, 1.0)
    return Inclinations(appeal("engage"), satisfied, np.where(sour, readiness, disappointment), sour, interest)


def react(rng: np.random.Generator, environment: Environment, users: np.ndarray, items: np.ndarray) -> Reactions:
    """Draws what users [n] do with items [n]; changes no state."""
    people, catalogue = environment.people, environment.catalogue
    b, q = environment.config.behaviour, environment.config.questionnaire
    inclined = inclinations(environment, users, items)
    satisfaction, sour, dislike_probability = inclined.satisfied, inclined.sour, inclined.dislike
    interest = inclined.interest
    uniform = rng.random((9, len(items)))
    normal = rng.standard_normal(len(items))
    engaged = uniform[0] < inclined.engage
    dislike = uniform[1] < dislike_probability
    watch = b.engaged_at_ms + b.watch_ms * np.exp(b.watch_sigma * normal + b.watch_sour * sour)
    glance = np.minimum(b.glance_ms * np.exp(b.glance_sigma * normal), b.engaged_at_ms) + b.dislike_delay_ms * dislike
    duration = catalogue.duration_ms[items]
    play_ms = np.minimum(np.where(engaged, watch, glance), duration).astype(np.int64)

    popularity, willingness = catalogue.log_popularity[items], people.willingness[users]
    shown_propensity = sigmoid(q.shown + q.shown_interest * interest + q.shown_popularity * popularity)
    answered_propensity = sigmoid(q.answered + q.answered_interest * interest + q.answered_willingness * willingness)
    shown = uniform[6] < shown_propensity
    warm = engaged * satisfaction * ~dislike
    return Reactions(
        play_ms=play_ms,
        click=engaged,
        long_view=feedback.is_long_view(play_ms, duration),
        like=uniform[2] < b.like * warm,
        comment=uniform[3] < b.comment * warm,
        follow=uniform[4] < b.follow * warm,
        share=uniform[5] < b.share * warm,
        dislike=dislike,
        questionnaire_shown=shown,
        questionnaire_answered=shown & (uniform[7] < answered_propensity),
        satisfied=uniform[8] < satisfaction,
        satisfaction_probability=satisfaction,
        shown_propensity=shown_propensity,
        answered_propensity=answered_propensity,
        dislike_probability=dislike_probability,
        averse=sour,
    )


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + e^-x): the probability of which x are the log odds."""
    return 1.0 / (1.0 + np.exp(-x))
