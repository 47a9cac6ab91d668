"""Milliseconds in which an exported ranker's SavedModel ranks candidates for one user, as TensorFlow Serving would.

  python -m benchmarks.ranking_latency --data=TIMELINES --checkpoint=RANKING_TRAIN_WORKDIR

Requests of random users for random items, one after another, after warm-up. The time is that between the request's
tensors and the order on the host; CPU time is that of all threads of the process, which another load on the machine
does not lengthen.
"""

import os
import statistics
import tempfile
import time
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
    import tensorflow as tf

    from data.timelines import Timelines
    from ranking import checkpoint
    from ranking.export import servable as serving
    from ranking.export.folder import FOLDER, Options, export
    from ranking.fusion import signs

    numbers = [int(number) for number in _CANDIDATES.value]
    timelines = Timelines.open(_DATA.value)
    ranker = checkpoint.load(_CHECKPOINT.value, timelines)
    with tempfile.TemporaryDirectory() as workdir:
        # The weights cost the same whatever they are.
        gamma = [f"{task}={sign:g}" for task, sign in zip(ranker.tasks, signs(ranker.tasks), strict=True)]
        export(
            Options(max_candidates=max(numbers)),
            data=_DATA.value,
            trained=_CHECKPOINT.value,
            workdir=workdir,
            gamma=gamma,
        )
        rank = tf.saved_model.load(str(Path(workdir) / FOLDER / "saved_model")).signatures["serving_default"]
    requests = serving.Requests(timelines, ranker)
    print(f"{timelines.num_items:,} items, T = {ranker.config.length}, {len(ranker.tasks)} tasks, one user a request")
    print(f"{'candidates':>10}{'p50 ms':>10}{'p99 ms':>10}{'CPU ms':>10}")
    for number in numbers:
        ready = [
            {name: tf.constant(column) for name, column in one.items()}
            for one in requests.random(_REQUESTS.value, candidates=number)
        ]
        for one in ready[:20]:  # the first compiles
            rank(**one)["order"].numpy()
        wall, processor = [], []
        for one in ready:
            begin, begin_processor = time.perf_counter(), time.process_time()
            rank(**one)["order"].numpy()
            wall.append(1e3 * (time.perf_counter() - begin))
            processor.append(1e3 * (time.process_time() - begin_processor))
        p50, p99 = np.percentile(wall, (50, 99))
        print(f"{number:>10,}{p50:>10.2f}{p99:>10.2f}{statistics.median(processor):>10.2f}")


if __name__ == "__main__":
    app.run(main)
