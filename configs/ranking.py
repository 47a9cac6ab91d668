"""Multi-feedback ranking: `<dataset>[,<variant>]`, the datasets those of data/readers/.

    python -m ranking.train --config=configs/ranking.py:kuairand_pure --data=TIMELINES --workdir=DIR

On the validation day of the KuaiRand-Pure slice it reaches (AUC / GAUC, means over seeds 0 to 2) EVV .727 / .628, FVV
.715 / .617, GVV .762 / .589, click .752 / .585, long view .750 / .601; without the encoder EVV .723 / .611, FVV .712
/ .594, GVV .759 / .585, click .749 / .575, long view .747 / .582. Tried there one by one with one seed, when its
history had no share watched and the tasks' mean AUC was .7426 (.7418 now), and no better: a third epoch (.7383),
experts twice as wide (.7424), dropout of features (.7423), and plays of 10, 30 and 60 seconds beside the feedback of
past events (.7422).

Variants, after Pan et al., CIKM '23; each but `mlp` differs from `full` in one setting:
  full                 feedback-aware encoder, context features, MMoE
  no_feedback_encoder  without the encoder: the paper's baseline
  shared_bottom        one shared network under all tasks' towers instead of experts and gates
  single_task_<TASK>   only that task, such as single_task_EVV
  mlp                  the features straight into one shared network
  satisfaction         full, and how satisfied people would say that they are: needs --satisfaction, the scores
"""

from ml_collections import ConfigDict

from data import readers

_VARIANTS = ("full", "no_feedback_encoder", "shared_bottom", "single_task_<TASK>", "mlp", "satisfaction")
_SINGLE = "single_task_"
_WATCH_TASKS = ("EVV", "FVV", "GVV")
_WATCHED = ("watched_25", "watched_50", "watched_75", "watched_100")  # shares of the duration


def get_config(name: str = "demo,full") -> ConfigDict:
    """The config called `<dataset>,<variant>`."""
    dataset, _, variant = name.partition(",")
    variant = variant or "full"
    log = readers.named(dataset)
    if variant not in _VARIANTS and not (variant.startswith(_SINGLE) and len(variant) > len(_SINGLE)):
        raise ValueError(f"no variant '{variant}'; there are {', '.join(_VARIANTS)}")
    config = ConfigDict()
    config.seed = 0

    # What is predicted (EVV, FVV, GVV, long_view, click, like, dislike, satisfaction; () is the first three, or what a
    # log without watch time has) and what a past event shows.
    config.tasks = _WATCH_TASKS
    # The paper's are the first three; what a log does not have is left out.
    config.history_feedback = ("EVV", "FVV", "GVV", "like", "dislike", "click", "long_view", *_WATCHED)

    # The model.
    # Events of a history that are read, and the last of them that the encoder attends to, at a cost of their square.
    # Over all of them it is counted how the user took to this cluster, creator and item: on the validation days of the
    # demo feed 32, 128, 256, 512 events have a mean AUC of .634, .655, .663, .664, and attention to 128 adds .001.
    config.length, config.encoder_length = 512, 32
    config.dim = 8
    config.encoder = True
    config.blocks = 1
    config.heads = 1  # has to divide dim + the number of history_feedback
    config.context = True
    config.slots = 0  # S of the slot-wise importance; 0: a slot for each feature
    config.experts = 4  # 1: a shared bottom, without gates
    config.hidden = (64, 32)
    config.tower = (16,)
    config.dropout = 0.0
    config.feature_dropout = 0.0

    # The objective.
    config.loss = "logloss"  # or bpr, which needs items to pair with
    config.negatives = 0  # unobserved items to each impression, negatives of every task
    config.later = 0  # later impressions of the same user to each, with their own labels
    config.task_weights = ()  # one for each task, or () to adapt them, ranking/model/task_weights.py

    # Optimisation.
    config.batch_size = 512
    config.num_epochs = 2
    config.patience = 1  # epochs without a better mean AUC on the validation days
    config.learning_rate = 3e-3
    config.warmup_steps = 100
    config.final_fraction = 0.05
    config.weight_decay = 0.01
    config.embedding_decay = 1.0  # of categories and ids, for they occur rarely
    config.user_decay = 15.0  # of user ids, which occur most rarely
    config.clip_norm = 1.0
    config.train_on = ("train",)  # ("train", "valid") learns from the validation days too, for a fixed num_epochs
    config.save_every = 500

    # Devices: `data` x `model` of them; several on a CPU are for tests, as in configs/retrieval.py.
    config.mesh = {"data": -1, "model": 1}
    config.cpu_devices = 1

    config.update_from_flattened_dict(log.of_stage("ranking"))
    match variant:
        case "no_feedback_encoder":
            config.encoder = False
        case "shared_bottom":
            config.experts = 1
        case "mlp":
            config.encoder, config.context, config.experts = False, False, 1
        case "satisfaction":
            config.tasks = (*_WATCH_TASKS, "satisfaction", *config.tasks[len(_WATCH_TASKS) :])
        case _ if variant.startswith(_SINGLE):
            config.tasks = (variant.removeprefix(_SINGLE),)
    if config.tasks == _WATCH_TASKS and not (log.traits and log.traits.play_times):
        config.tasks = ()
    if log.short:
        config.num_epochs = 1
        config.dim, config.hidden, config.tower, config.length, config.encoder_length = 4, (16, 16), (8,), 16, 8
    return config
