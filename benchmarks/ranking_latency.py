"""Milliseconds in which an exported ranker's SavedModel ranks candidates for one user, as TensorFlow Serving would.

  python -m benchmarks.ranking_latency --data=TIMELINES --checkpoint=RANKING_TRAIN_WORKDIR

Requests of random users for random items, one after another, after warm-up. The time is that between the request's
tensors and the answer on the host; CPU time is that of all threads of the process, which another load on the machine
does not lengthen.
"""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from runtime import app
from runtime.paths import define_path

_DATA = define_path("data", None, "The timelines that the model was trained on.", required=True)
_CHECKPOINT = define_path("checkpoint", None, "The workdir of ranking.train.", required=True)
_CANDIDATES = flags.DEFINE_list("candidates", ["100", "500", "1000"], "Numbers of candidates.")
_REQUESTS = flags.DEFINE_integer("requests", 500, "Requests of each number.", lower_bound=10)


def main(argv: Sequence[str]) -> None:
    """Measures and prints."""
    del argv
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # Imported here so that --help does not wait for them.
    import numpy as np

    from data.timelines import Timelines
    from nn import latency
    from ranking import checkpoint
    from ranking.export.folder import FOLDER, Options, export
    from ranking.export.requests import Requests
    from ranking.fusion import signs

    numbers = [int(number) for number in _CANDIDATES.value]
    timelines = Timelines.open(_DATA.value)
    ranker = checkpoint.load(_CHECKPOINT.value, timelines)
    requests = Requests(timelines, ranker)
    with tempfile.TemporaryDirectory() as workdir:
        # The weights cost the same whatever they are.
        gamma = [f"{task}={sign:g}" for task, sign in zip(ranker.tasks, signs(ranker.tasks), strict=True)]
        options = Options(max_candidates=max(numbers))
        export(options, data=_DATA.value, trained=_CHECKPOINT.value, workdir=workdir, gamma=gamma)
        print(
            f"{timelines.num_items:,} items, T = {ranker.config.length}, {len(ranker.tasks)} tasks, one user a request"
        )
        print(f"{'candidates':>10}{'p50 ms':>10}{'p99 ms':>10}{'CPU ms':>10}")
        for number in numbers:
            asked = requests.random(_REQUESTS.value, candidates=number)
            times = latency.milliseconds(Path(workdir) / FOLDER / "saved_model", asked)
            figures = [*latency.percentiles(times).values(), np.median(times[:, 1])]
            print(f"{number:>10,}" + "".join(f"{figure:>10.2f}" for figure in figures))


if __name__ == "__main__":
    app.run(main)
