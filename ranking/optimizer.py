"""The optimiser of the ranker: AdamW, with a stronger weight decay on ids and the strongest on those of users."""

import optax
from ml_collections import ConfigDict

from training.optimizer import make_optimizer


def optimizer_of(config: ConfigDict, *, total_steps: int) -> optax.GradientTransformation:
    """AdamW as the config says.

    Ids want a high learning rate, as each moves only when it occurs, and then remember single impressions: those of
    users first, who have the fewest. With the `user_decay` of other embeddings, 1, the mean validation AUC of
    KuaiRand-Pure falls from .733 to .727 in the second epoch (ranking.train, --config.user_decay=1.0); with 15 it rises
    to .736. What a user is like is in the history; the id adds what stands the decay.
    """
    decays = (
        (r"user_embedding$", config.user_decay),
        (r"embedding$", config.embedding_decay),
    )
    return make_optimizer(config, total_steps=total_steps, decays=decays)
