"""Satisfaction, after SAQRec (Zhang et al., CIKM '24): one sub-config a step.

    python -m satisfaction.train --config=configs/satisfaction.py:kuairand_pure --data=TIMELINES --workdir=DIR

Datasets: demo, standard (synthetic feeds, which have questionnaires), kuairand_pure, kuairand_pure_short,
kuairand_27k_explicit (likes and hates only), tables (your own logs), tiny (for tests).
"""

from ml_collections import ConfigDict

_QUESTIONNAIRE = {"demo", "standard", "tiny", "tables"}


def get_config(name: str = "demo") -> ConfigDict:
    """The config of the dataset called `name`."""
    datasets = (
        "kuairand_pure",
        "kuairand_pure_short",
        "kuairand_27k_explicit",
        "demo",
        "standard",
        "tables",
        "tiny",
    )
    if name not in datasets:
        raise ValueError(f"no dataset '{name}'; there are {', '.join(datasets)}")
    config = ConfigDict()
    config.seed = 0
    config.cpu_devices = 1
    config.save_every = 500
    # What a model may learn from: the days before validation, or all but each user's last two clicks.
    config.protocol = "time"  # or leave_one_out
    # questionnaire: the answers logged. like_dislike: a like is "satisfied", a dislike "dissatisfied", and an
    # impression with either counts as answered (the paper's KuaiRand recipe).
    config.answers = "questionnaire" if name in _QUESTIONNAIRE else "like_dislike"

    # Base recommender: a GRU over clicks; or `recommender`, the folder of an exported one, for its item vectors.
    config.base = {
        "recommender": "",
        "length": 50,
        "dim": 64,
        "hidden": 128,
        "dropout": 0.3,
        "block_size": 1024,
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
    config.align = align(name)
    return config


def align(name: str) -> ConfigDict:
    """The main model: equations 7 to 19."""
    return ConfigDict()
