"""Satisfaction, after SAQRec (Zhang et al., CIKM '24): one sub-config a step.

    python -m satisfaction.train --config=configs/satisfaction.py:kuairand_pure --data=TIMELINES --workdir=DIR

The names are those of data/readers/.
"""

from ml_collections import ConfigDict

from data import readers
from data.readers import Dataset

_LARGE = 500_000  # events; of logs with more, 300,000 clicks at least, fewer epochs are enough


def get_config(name: str = "demo") -> ConfigDict:
    """The config of the dataset called `name`."""
    log = readers.named(name)
    config = ConfigDict()
    config.seed = 0
    config.save_every = 500
    config.cpu_devices = 1  # as many as a CPU is to look like; all devices of all hosts share each batch
    # What a model may learn from: the days before validation, or all but each user's last two clicks.
    config.protocol = "time"  # or leave_one_out
    # questionnaire: the answers logged. like_dislike: a like is "satisfied", a dislike "dissatisfied", and an
    # impression with either counts as answered (the paper's KuaiRand recipe). "": the former where the log has any.
    config.answers = ""
    if log.traits:
        config.answers = "questionnaire" if log.traits.questionnaires else "like_dislike"

    # Base recommender: a GRU over clicks; or `recommender`, the folder of an exported one, for its item vectors.
    config.base = {
        "recommender": "",
        "length": 50,
        "dim": 64,
        "hidden": 128,
        "dropout": 0.3,
        "block_size": 0,  # of the softmax; 0: as suits the device
        "batch_size": 64,
        "num_epochs": 10,
        "patience": 2,
        "learning_rate": 3e-3,
        "warmup_steps": 100,
        "final_fraction": 0.02,
        "weight_decay": 0.0,
        "clip_norm": 1.0,
        "eval_users": 4096,
    }
    # The small models of a user and an item (satisfaction/unbiased/pair_model.py).
    small = {
        "hidden": 32,
        "dropout": 0.3,
        "learning_rate": 1e-2,
        "final_fraction": 0.1,
        "weight_decay": 0.1,
        "clip_norm": 1.0,
        "valid_share": 0.15,  # of the examples, for early stopping
        "patience": 6,  # evaluations without a lower loss
    }
    # asking_rates, beyond equation 5: the propensity model also reads who is asked about what, and who answers.
    config.propensity = {**small, "batch_size": 4096, "num_steps": 600, "eval_every": 60, "asking_rates": True}
    # naive, ips or dr (satisfaction/unbiased/estimators.py); clip is M of equation 6, of the order of the propensities.
    # members: fits whose mean logit is the model; one alone varies more than estimators differ.
    config.satisfaction = {**small, "batch_size": 1024, "num_steps": 1200, "eval_every": 60, "members": 3}
    config.satisfaction.update({"estimator": "ips", "clip": 0.01, "answer_rates": True, "learning_rate": 5e-3})
    config.doubly_robust = {**small, "batch_size": 4096, "num_steps": 600, "eval_every": 60}
    if log.traits and log.traits.is_explicit:
        config.satisfaction.estimator = "naive"  # each event is an answer: there is no selection to undo
    if _is_large(log):
        config.base.num_epochs = 4
    config.align = align(log)
    config.update_from_flattened_dict(log.of_stage("satisfaction"))
    if log.short:
        config.base.update({"dim": 16, "hidden": 16, "num_epochs": 1, "eval_users": 500})
        config.satisfaction.members = 2
        for step in (config.propensity, config.satisfaction, config.doubly_robust):
            step.update({"num_steps": 60, "eval_every": 20})
        config.align.update({"hidden": 16, "gru_hidden": 16, "base_hidden": 16, "num_epochs": 1, "eval_users": 500})
    return config


def _is_large(log: Dataset) -> bool:
    return log.traits is not None and log.traits.events > _LARGE


def align(log: Dataset) -> ConfigDict:
    """The main model: equations 7 to 19."""
    config = ConfigDict()
    # Histories: the last clicks, satisfied and dissatisfied events that are read (section 5.1.4, KuaiRand).
    config.length, config.satisfied_length, config.dissatisfied_length = 50, 20, 5
    config.blocks, config.heads, config.hidden, config.dropout = 1, 2, 64, 0.3
    # Ablations of Table 3: without SID, without MLSE, without MTL (satisfaction_weight = 0), and without the unbiased
    # model, which is the satisfaction step's own setting.
    config.disentanglement = True
    config.levels = True
    config.num_levels = 8  # N_I
    # Beyond the paper: a logit of what everybody clicked lately (satisfaction/saqrec/popularity.py).
    config.popularity, config.popularity_hidden = True, 16
    config.user_table = False  # a learned vector for each user, on top of the mean of their clicks
    config.satisfaction_weight = 1.0  # beta
    config.l2_weight = 0.0  # gamma
    config.correct_from = 3  # N_mix: the epoch, from 0, at which label correction begins
    # lambda = CDF of Beta(a, b), as in the released code, at the min-max scaled disagreement of each example
    # (satisfaction/saqrec/losses.py).
    config.label_correction = (0.5, 0.5)

    # exact or sampled softmax over the corpus, or bce, the paper's, against num_negatives uniform items.
    config.click_loss = "exact"
    config.block_size, config.num_candidates, config.num_negatives = 0, 1024, 2

    # Train once more, on the validation clicks too, for the epochs that were best on them: what the test is read with.
    config.refit = False
    config.dated_weight = 12.0  # of a label with a time; those of earlier history weigh 1
    config.batch_size = 128  # rows of `length` clicks
    config.num_epochs, config.patience = 15, 3  # epochs without a better validation MRR
    config.learning_rate, config.warmup_steps, config.final_fraction = 1e-3, 50, 0.02
    config.weight_decay, config.clip_norm = 0.0, 1.0
    config.eval_users = 5000

    # What is trained: the main model, and beside it what it has to beat (satisfaction/saqrec/alignment.py), the GRU
    # from the base recommender's vectors and the one over ids alone, with the same clicks, popularity, weights, refit.
    config.models = ("saqrec", "base", "gru_softmax")
    config.base_hidden, config.base_dropout, config.base_learning_rate = 128, 0.3, 3e-3
    config.gru_hidden, config.gru_dropout, config.gru_learning_rate = 128, 0.3, 3e-3
    if _is_large(log):
        config.num_epochs = 5
    return config
