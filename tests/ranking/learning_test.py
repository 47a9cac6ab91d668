"""The neural ranker, trained, finds what was planted: a model that is broken somewhere does not."""

import numpy as np
import pytest

from configs.ranking import get_config
from data.impressions import ranked_positions
from metrics import binary
from ranking import checkpoint
from ranking import run as training
from ranking.baselines import popularity
from ranking.tasks import Labels
from tests.logs import impression_log

pytestmark = pytest.mark.long

MARGIN = 0.1  # of AUC above chance, .5; the trees of ranking_gradient_boosting_test find as much


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """Everybody watches the items of one of two clusters seven times as long as those of the other."""
    return impression_log.write(tmp_path_factory.mktemp("log") / "timelines", per_day=10, num_users=60)


@pytest.fixture(scope="module", params=["full", "mlp"])
def trained(request, log, tmp_path_factory):
    config = get_config(f"tiny,{request.param}")
    config.update({"batch_size": 128, "num_epochs": 4, "patience": 4, "learning_rate": 0.02, "warmup_steps": 5})
    config.user_decay = config.embedding_decay = 0.01  # of ids: there is little to overfit
    folder = tmp_path_factory.mktemp("run") / "workdir"
    training.train(config, data=str(log.path), workdir=str(folder))
    return checkpoint.load(folder, log)


def test_a_trained_ranker_finds_the_taste(log, trained):
    test = ranked_positions(log, "test")
    found, (labels, _) = trained.predict(test), trained.labels(test)
    everything = Labels(*trained.labels(np.arange(len(log.item))))
    by_item = popularity.popularity(log, trained.tasks, everything).predict(test)
    for k, task in enumerate(trained.tasks):
        area = binary.auc(found[:, k], labels[:, k])
        assert area > 0.5 + MARGIN, task
        assert area > binary.auc(by_item[:, k], labels[:, k]) + MARGIN, task  # items are liked alike, by whom differs
        # And its probabilities say more than the rate of the training days.
        rate = np.full(len(test), everything.values[log.in_split("train"), k].mean())
        assert binary.logloss(found[:, k], labels[:, k]) < binary.logloss(rate, labels[:, k]), task
