"""Alternatives to the not-to-recommend loss in one table: what each buys, what it costs, and whether its gradients
explode (Wang et al., RecSys '23, section 2). The paper's, and what was published elsewhere.

    python -m benchmarks.alternatives --config=configs/alternatives.py:demo --workdir=runs/alternatives

Rows `…_paper_tower` are of the paper's own tower; every other that reads dislikes has Heed's memory of them besides
(retrieval/aversion.py). Every row is trained, evaluated on the test days, exported and simulated; killed at any point,
the same command goes on. Writes metrics.json (`<row>/long_watch+dislike/content`, `/truth` on a latent feed,
`<row>/recall@100`, `<row>/next_item/delta_hr@10`, `<row>/grad_norm/p50|p90|p99|max`, `<row>/diverged`; of several seeds
the mean, `<name>/spread` and `<row>/seed1/<name>`; `order/content`, where no signal has several weights: the share of
the seeds in which the models respond in the paper's order, of its own tower `order/paper_tower/content`) and
alternatives.html, with the table and the gradient norms over training.
Further seeds may follow in the same workdir: what is trained stays.
"""

from collections.abc import Sequence

from runtime import app
from runtime.config import define_config
from runtime.paths import define_path

_CONFIG = define_config(
    "configs/alternatives.py:demo",
    "The comparison: configs/alternatives.py:demo|demo_latent|demo_latent_rare|standard|tiny.",
)
_WORKDIR = define_path("workdir", None, "Folder that gets one folder per stage, and alternatives.html.")


def main(argv: Sequence[str]) -> int:
    """Runs every row, then writes and prints the table."""
    del argv
    # Here, so that --help stays fast.
    from benchmarks.alternatives.results import collect, flat
    from benchmarks.alternatives.runs import rows, run_all
    from benchmarks.alternatives.table import page, table
    from runtime.artifact import write_json
    from runtime.workdir import METRICS, open_workdir

    config = _CONFIG.value
    workdir = open_workdir(_WORKDIR.value, {"alternatives": config.world})
    chosen = rows(config, workdir)
    if status := run_all(config, chosen, workdir):
        return status
    measured = {row: collect(row) for row in chosen}
    write_json(workdir / METRICS, flat(measured))
    (workdir / "alternatives.html").write_text(page(measured), encoding="utf-8")
    print(table(measured))
    print(workdir / "alternatives.html")
    return 0


if __name__ == "__main__":
    app.run(main)
