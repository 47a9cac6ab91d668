"""KuaiRand (Gao et al., CIKM '22), a log of short videos, some of them shown at random: its versions, and one part.

`layout` reads the official CSV files, `builder` fetches the archives and registers them with TensorFlow Datasets.
"""

from typing import Any

from data.readers import Dataset, later
from data.traits import Traits

_HERE = "data.readers.kuairand"
_EXPLICIT = "log_explicit_27k.csv"
# Validation and test begin on these days in China, whose log it is. A row's time decides, not its `date`: 0.9% of the
# rows, all within hours of midnight, carry the next day's date because they were received after it.
_VALID_START, _TEST_START = "2022-05-03T00:00+08:00", "2022-05-04T00:00+08:00"
# Shares as measured on the days 2022-04-25 to 2022-05-05 of KuaiRand-Pure; other versions are taken to be alike.
_FEEDBACK = {
    "click": 0.45,
    "long_view": 0.32,
    "like": 0.017,
    "follow": 0.0013,
    "comment": 0.0026,
    "share": 0.0008,
    "dislike": 0.0009,
    "skip": 0.41,
}
# It has few dislikes, and many skips. A training of the satisfaction model takes two minutes of two cores, its refit as
# much.
_PIPELINE = {
    "plain": ("dislike_input", "dislike_input_paper_tower"),
    "weights": {"softmax_negatives": (1000.0, 10000.0), "skip_label": (50.0, 100.0, 125.0, 150.0, 200.0)},
    "final_all": True,
    "systems": ("ranking", "satisfaction"),
    "ranking_variants": (
        *("no_feedback_encoder", "shared_bottom"),
        *("single_task_EVV", "single_task_FVV", "single_task_GVV"),
        "mlp",
    ),
    "ranking_seeds": 3,
    "satisfaction_protocols": ("leave_one_out", "time"),
    "satisfaction_ablations": {"what": ("ablations",), "click_losses": ("exact", "bce"), "seeds": 1, "refit": False},
}


def _version(version: str, description: str, events: int, **more: Any) -> Dataset:
    return Dataset(
        name=f"kuairand_{version}",
        description=description,
        source_files=later(f"{_HERE}.layout.source_files", version=version),
        read=later(f"{_HERE}.layout.read_kuairand", version=version),
        download=later(f"{_HERE}.builder.download", version=version),
        traits=Traits(
            events, _FEEDBACK, play_times=True, random_exposures=True, creators=True, clusters=True, uploads=True
        ),
        # What users did before the log begins, where a file beside it tells (KuaiRand-Pure only).
        options={"earlier_history": True},
        valid_start=_VALID_START,
        test_start=_TEST_START,
        **more,
    )


DATASETS = (
    _version(
        "pure",
        "KuaiRand-Pure: 27,000 users, 7,583 videos",
        events=1_080_000,  # of these days, and before them 900,000 of earlier history
        settings={
            # Its earlier history has long views and no clicks.
            "retrieval": {"positive": ("click", "long_view"), "dropout": 0.3, "num_epochs": 5},
            # Half of its users have 37 events or fewer: a longer history is no better.
            "ranking": {"tasks": ("EVV", "FVV", "GVV", "click", "long_view"), "length": 32},
            # What `satisfaction.compare` chose on the validation clicks; of the other rows it chose the defaults.
            "satisfaction": {"align.gru_dropout": 0.5},
            "pipeline": _PIPELINE,
        },
    ),
    # Most videos of these two were seen once or twice: an embedding each would cost 8 GB in the largest, and learn
    # nothing.
    _version("1k", "KuaiRand-1K: 1,000 users, 4 million videos", events=12_000_000, min_item_count=2),
    _version("27k", "KuaiRand-27K: 27,000 users, 32 million videos", events=322_000_000, min_item_count=5),
    Dataset(
        name="kuairand_27k_explicit",
        description="the likes and hates of KuaiRand-27K's users who gave both",
        source_files=lambda folder: [folder / _EXPLICIT],
        read=later(f"{_HERE}.layout.read_log", name=_EXPLICIT),
        traits=Traits(33_388, {"click": 0.66, "long_view": 0.46, "like": 0.807, "dislike": 0.193}, play_times=True),
        settings={"satisfaction": {"base.num_epochs": 3}},
    ),
)
