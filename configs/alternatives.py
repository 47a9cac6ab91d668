"""Alternatives to the not-to-recommend loss, side by side: of Wang et al., RecSys '23, section 2, and of others.

    python -m benchmarks.alternatives --config=configs/alternatives.py:demo --workdir=runs/alternatives

Sizes: `demo` (about 18 minutes of one core, as much again for each further seed), `standard` (the models of the paper's
section 4 alone, with Heed's memory of dislikes and on the paper's own tower, at the weight that the pipeline of this
size chooses) and `tiny` (for tests), each on the synthetic feed of that name; `demo_latent` and
`demo_latent_rare` (what was published elsewhere, over decades of weights, on the feeds that are as a real log is, the
second with 0.1% dislikes). `--config.seeds="(0,1,2,3,4)"` trains every row with five seeds.
"""

from ml_collections import ConfigDict

# Signals of configs/retrieval.py, and the weights of their negative labels: none where there are none.
ROWS: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("no_dislike_signal", ()),
    ("dislike_excluded", ()),
    ("dislike_input", ()),
    ("dislike_input_and_label", (1000.0,)),
    ("dislike_input_paper_tower", ()),
    ("dislike_input_and_label_paper_tower", (1000.0,)),
    ("negative_weight", (0.1, 1.0)),
    ("reinforce", (1.0,)),
    ("softmax_negatives", (300.0,)),
    ("skip_label", (100.0,)),
    ("skip_and_dislike_label", (100.0,)),
)
# The same trained without clipping gradients: what is clipped cannot show whether they explode, as section 2 has it.
UNCLIPPED: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("dislike_input_and_label", (1000.0,)),
    ("negative_weight", (1.0,)),
    ("reinforce", (1.0,)),
)
# What the paper's section 4 compares; the last two are the paper's tower too, without Heed's memory of dislikes.
PUBLISHED: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("no_dislike_signal", ()),
    ("dislike_input", ()),
    ("dislike_input_and_label", (3000.0,)),
    ("dislike_input_paper_tower", ()),
    ("dislike_input_and_label_paper_tower", (3000.0,)),
)
# What was published elsewhere, over decades of the weight of what pulls a no away from what is served.
ELSEWHERE: tuple[tuple[str, tuple[float, ...]], ...] = (
    ("no_dislike_signal", ()),
    ("dislike_input", ()),
    ("dislike_input_and_label", (10.0, 100.0, 1000.0, 10000.0)),
    ("softmax_negatives", (10.0, 100.0, 1000.0, 10000.0)),
    ("label_and_softmax_negatives", (10.0, 100.0, 1000.0, 10000.0)),  # of the label; 300 among the negatives
    ("contrastive", (1.0, 10.0, 100.0, 1000.0)),
    ("separate_histories", (0.25, 2.5, 25.0, 250.0)),
)
_SIZES = ("demo", "demo_latent", "demo_latent_rare", "standard", "tiny")


def get_config(size: str = "demo") -> ConfigDict:
    """The comparison on the feed of this size."""
    if size not in _SIZES:
        raise ValueError(f"no comparison '{size}'; there are {', '.join(_SIZES)}")
    config = ConfigDict()
    size, _, variant = size.partition("_")
    config.size = size  # of configs/retrieval.py
    config.world = f"{size},{variant}" if variant else size  # of configs/world.py
    config.counterfactual = "tiny" if size == "tiny" else "standard"
    config.seeds = (0,)  # of the trainings
    config.whole_model = False  # whether with what is counted, and popularity in the towers, as models are served
    config.rows = ELSEWHERE if variant else PUBLISHED if size == "standard" else ROWS
    config.unclipped = UNCLIPPED if config.rows == ROWS else ()
    config.unclipped_norm = 1e9  # the clip_norm of these: far above any that clips
    return config
