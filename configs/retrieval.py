"""Two-tower retrieval: `<dataset>,<signals>`, the datasets those of data/readers/.

    python -m retrieval.train --config=configs/retrieval.py:kuairand_pure,dislike_input_and_label \
        --data=TIMELINES --workdir=DIR

Signals, after Wang et al., RecSys '23 (what the model reads and what it learns from are independent settings):
  no_dislike_signal        reads no dislikes, learns from positives
  dislike_input            reads dislikes, learns from positives
  dislike_input_and_label  reads dislikes, learns from positives and, as "not to recommend", from dislikes
  skip_label               reads dislikes, learns from positives and, as "not to recommend", from skips
  skip_label_alone         reads no dislikes, learns from positives and, as "not to recommend", from skips
  skip_and_dislike_label   reads dislikes, learns from positives and, as "not to recommend", from skips and dislikes
All that read dislikes also remember them, and the query forgets what was said no to (retrieval/aversion.py); all have
what is popular at the moment in both towers (retrieval/trends.py) and what is counted beside them (retrieval/counted/).
These are beyond the paper. Without any of them:
  no_dislike_signal_paper_tower        no_dislike_signal on the paper's own tower, the GRU alone
  dislike_input_paper_tower            dislike_input on it
  dislike_input_and_label_paper_tower  dislike_input_and_label on it
With the memory alone:
  dislike_input_and_label_without_counts
and the alternatives of its section 2, to be compared with these (python -m benchmarks.alternatives):
  dislike_excluded         does not read what was disliked, learns from positives
  negative_weight          reads dislikes, which have a negative weight in the cross entropy
  reinforce                reads dislikes, which have a negative reward in REINFORCE with top-K off-policy correction
  softmax_negatives        reads dislikes, which weigh more among the softmax negatives of the positives beside them
and with what was published elsewhere:
  label_and_softmax_negatives  input and label, and softmax_negatives too
  contrastive              reads dislikes, all of which join what the user's positives are held up against
  separate_histories       does not read what was disliked but in an encoder apart, for training alone
"""

from typing import Any

from ml_collections import ConfigDict
from ml_collections.config_dict import placeholder

from data import readers

_NOTHING_COUNTED: dict[str, Any] = {"counted": (), "trends": ()}
_PAPER_TOWER: dict[str, Any] = {"memory": (), **_NOTHING_COUNTED}
_SIGNALS: dict[str, dict[str, Any]] = {
    "no_dislike_signal": {"input": (), "negative": ()},
    "dislike_input": {"input": ("dislike",), "negative": ()},
    "dislike_input_and_label": {"input": ("dislike",), "negative": ("dislike",)},
    "no_dislike_signal_paper_tower": {"input": (), "negative": (), **_PAPER_TOWER},
    "dislike_input_paper_tower": {"input": ("dislike",), "negative": (), **_PAPER_TOWER},
    "dislike_input_and_label_paper_tower": {"input": ("dislike",), "negative": ("dislike",), **_PAPER_TOWER},
    "dislike_input_and_label_without_counts": {"input": ("dislike",), "negative": ("dislike",), **_NOTHING_COUNTED},
    "skip_label": {"input": ("dislike",), "negative": ("skip",)},
    "skip_label_alone": {"input": (), "negative": ("skip",)},
    "skip_and_dislike_label": {"input": ("dislike",), "negative": ("skip", "dislike")},
    "dislike_excluded": {"input": (), "negative": (), "excluded": ("dislike",)},
    "negative_weight": {"input": ("dislike",), "negative": ("dislike",), "objective": "negative_weight", "weight": 1.0},
    "reinforce": {"input": ("dislike",), "negative": ("dislike",), "objective": "reinforce", "weight": 1.0},
    "softmax_negatives": {"input": ("dislike",), "negative": ("dislike",), "objective": "softmax_negatives"},
    "label_and_softmax_negatives": {
        "input": ("dislike",),
        "negative": ("dislike",),
        "objective": "label_and_softmax_negatives",
    },
    "contrastive": {
        "input": ("dislike",),
        "negative": ("dislike",),
        "objective": "contrastive",
        "weight": 1.0,
    },
    "separate_histories": {
        "input": (),
        "negative": ("dislike",),
        "excluded": ("dislike",),
        "opposing": ("dislike",),
        "objective": "separate_histories",
        "weight": 0.25,
    },
}


def get_config(name: str = "demo,dislike_input_and_label") -> ConfigDict:
    """The config called `<dataset>,<signals>`."""
    dataset, _, signals = name.partition(",")
    signals = signals or "dislike_input_and_label"
    if signals not in _SIGNALS:
        raise ValueError(f"no signals '{signals}'; there are {', '.join(_SIGNALS)}")
    log = readers.named(dataset)
    config = ConfigDict()
    config.seed = 0

    # What the model reads (in a log without likes also its other positives, such as clicks: retrieval/run.py), and what
    # it learns from. No `positive`: long views, likes, shares and follows, or clicks where the log has none of these.
    config.input_feedback = (*_SIGNALS[signals]["input"], "like", "long_view")
    # What the query forgets, retrieval/aversion.py; () is the paper's tower. What takes a "no" back, of items like it.
    # And S, how many of them are remembered, and read however long ago they were (data/events_read.py).
    config.memory_feedback = _SIGNALS[signals].get("memory", _SIGNALS[signals]["input"])
    config.forgiving_feedback = ("like", "long_view")
    config.memory_size = 8
    config.excluded_feedback = _SIGNALS[signals].get("excluded", ())  # events that the model does not read at all
    config.opposing_feedback = _SIGNALS[signals].get("opposing", ())  # what an encoder of noes reads in training
    config.positive = ()
    config.negative = _SIGNALS[signals]["negative"]
    config.positive_weight = 1.0
    # With N items p is about 1/N, and the gradient of the not-to-recommend term is w·p: for a corpus of thousands w has
    # to be of the order of hundreds before it moves anything. On KuaiRand-Pure w = 1 changes no metric.
    # For the alternatives: the negative weight or reward, where 300 would leave nothing of the positives' term; and how
    # many times a disliked item counts among the negatives.
    config.negative_weight = _SIGNALS[signals].get("weight", 300.0)
    # not_to_recommend; for comparison those of retrieval/alternatives.py.
    config.objective = _SIGNALS[signals].get("objective", "not_to_recommend")
    config.reinforce_top_k = 16  # K and, below, the cap of the importance weights: e^3 in Chen et al., WSDM '19
    config.reinforce_weight_cap = 20.0
    # Of label_and_softmax_negatives: how many times a disliked item counts among the negatives. Of separate_histories:
    # the weight of the noes' own cross entropy, 0.45 in PNFRec on MovieLens-1M, where that of its contrast with them,
    # here negative_weight, is 0.25.
    config.denominator_weight = 300.0
    config.opposing_weight = 0.45

    # Towers.
    config.length = 128  # events of a history that are read
    config.dim = 64
    config.encoder = "gru"  # of the user's history, by its name in encoders/registry.py
    config.hidden = 128
    config.dropout = 0.5
    # What is popular at the moment, in both towers (retrieval/trends.py): counted over so many days; (), nothing.
    config.trend_days = _SIGNALS[signals].get("trends", (1, 7))

    # What is counted beside the towers, retrieval/counted/: (), nothing. The weights of the towers and of each part are
    # fitted on the validation days, or are these: (towers, *counted). How many events of a history the parts read, or
    # as many as the towers where these read more; R, γ, λ and b of co-visitation; γ and m of categories.
    everything = ("covisitation", "categories", "popularity", "popularity_1d", "popularity_7d")
    config.counted = _SIGNALS[signals].get("counted", everything)
    config.counted_weights = ()
    config.counted_length = 256
    config.covisitation_dim = 64
    config.covisitation_decay = 0.995
    config.covisitation_prior = 5.0
    config.covisitation_noes_weight = placeholder(float)  # None: as counted/weights.py has it
    config.category_decay = 0.995
    config.category_prior = 10.0

    # Whether a label is held up against what its user has not met, as far back as the towers read
    # (retrieval/margins/unmet.py); False: against met items too, as in the paper.
    config.among_unmet = True

    # Softmax over the corpus: exact in blocks of items, or sampled: uniform, log_uniform, in_batch, mixed.
    config.softmax = "exact"
    config.block_size = 0  # items a block; 0: as suits the device (nn/softmax.py)
    # Of what the exact softmax multiplies, whose sums are float32; "bfloat16" is faster on a GPU, and not on a CPU.
    config.softmax_dtype = "float32"
    config.num_candidates = 4096
    # With a sampled softmax: whether a step's gradients and updates are of the rows of the item tables that its batch
    # touches, and no others. For corpora of a million items and more (BUILD.md); then the tables have row-wise Adagrad,
    # at a rate of their own, in place of Adam.
    config.touched_rows = False
    config.table_learning_rate = 0.1
    # Rows of the table of ids: 0 for one an item; else an id is the sum of `id_hashes` rows that it is hashed to and
    # shares (encoders/hashed_ids.py), so that a later log with new items needs no new table.
    config.id_rows = 0
    config.id_hashes = 2

    # Optimisation. batch_size counts packed rows of `length` positions.
    config.batch_size = 16
    config.num_epochs = 6
    config.patience = 2  # epochs without a better validation Recall@100
    config.learning_rate = 1e-2
    config.warmup_steps = 100
    config.final_fraction = 0.02
    config.weight_decay = 0.0
    config.clip_norm = 1.0
    config.train_on = ("train",)  # ("train", "valid") learns from the validation days too, for a fixed num_epochs
    config.save_every = 500

    # Devices: `data` x `model` of them. A CPU can look like several, for tests of what several devices do: on two cores
    # two train slower than one, and `--jobs` of pipelines.run uses cores better.
    config.mesh = {"data": -1, "model": 1}
    config.cpu_devices = 1

    # Validation while training: Recall@100 of this many users with held-out positives.
    config.eval_users = 4096

    # Export: see retrieval/export/index.py and retrieval/export/servable.py.
    config.export = {
        "recall_target": 0.97,  # of the index against exact search; above 1 is exact search
        "recall_floor": 0.95,  # below this the export fails
        "num_queries": 2000,
        "max_k": 1000,  # most items that one request may ask for
        # Whether a request with items that the catalogue does not know is refused; else they are ignored, and counted.
        "reject_unknown_ids": False,
        # Requests are padded to a power of two: these are compiled when a server starts, others when they first come.
        "warmup_batch_sizes": (1, 2, 4, 8, 16, 32, 64),
    }

    config.update_from_flattened_dict(log.of_stage("retrieval"))
    if log.short:
        config.num_epochs = 1
        config.dim, config.hidden, config.eval_users = 16, 16, 500
        config.covisitation_dim = min(config.covisitation_dim, 16)
    return config
