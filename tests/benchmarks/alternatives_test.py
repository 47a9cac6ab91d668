"""The comparison of objectives: what its rows run, what it reads of them, and that divergence is one of its results."""

import json
from pathlib import Path

import pytest

from benchmarks.alternatives import runs as alternatives_runs
from benchmarks.alternatives import table as alternatives_table
from benchmarks.alternatives.results import collect, flat, order, over_seeds
from benchmarks.alternatives.runs import Row, graph, rows, run
from configs.alternatives import get_config
from configs.retrieval import get_config as retrieval_config
from pipelines.report.run_folder import curves
from runtime.artifact import write_json


def write(path: Path, value) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, value)


def row_in(folder: Path, signals="negative_weight", weight=1.0, **more) -> Row:
    return Row(signals=signals, weight=weight, workdir=folder, **more)


def logged(row: Row, **curves) -> None:
    lines = [{"step": n, "name": name, "value": v} for name, values in curves.items() for n, v in enumerate(values)]
    row.folder("train").mkdir(parents=True, exist_ok=True)
    (row.folder("train") / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.mark.parametrize("size", ["demo", "tiny"])
def test_every_row_is_a_config_of_retrieval_with_its_files_in_order(size, tmp_path):
    config = get_config(size)
    chosen = rows(config, tmp_path)
    assert len({row.name for row in chosen}) == len(chosen) == 15
    assert [row.label for row in chosen if row.clip_norm is not None] == [
        "dislike_input_and_label-w1000-unclipped",
        "negative_weight-w1-unclipped",
        "reinforce-w1-unclipped",
    ]
    for row in chosen:
        signals = retrieval_config(f"{size},{row.signals}")
        assert (row.weight is None) == (not signals.negative)
        known: set[Path] = set()
        for stage in graph(config, row):
            assert set(stage.inputs) <= known
            known |= set(stage.outputs)
    train = next(stage for stage in graph(config, row_in(tmp_path, weight=0.1)) if stage.name.startswith("train/"))
    alone = {"--config.counted=()", "--config.trend_days=()"}
    assert {"--config.negative_weight=0.1", "--config.seed=0", *alone} <= set(train.command(str))
    whole = {"--config.counted", "--config.trend_days"}
    config.whole_model = True
    train = next(stage for stage in graph(config, row_in(tmp_path, weight=0.1)) if stage.name.startswith("train/"))
    assert not any(part.split("=")[0] in whole for part in train.command(str))
    config.whole_model = False
    unclipped = row_in(tmp_path, clip_norm=1e9, seed=3)
    assert unclipped.name == "negative_weight-w1-unclipped-seed3"
    train = next(stage for stage in graph(config, unclipped) if stage.name.startswith("train/"))
    assert {"--config.clip_norm=1e+09", "--config.seed=3"} <= set(train.command(str))
    config.seeds = (0, 7)
    assert len({row.name for row in rows(config, tmp_path)}) == 30
    with pytest.raises(ValueError, match="no comparison 'huge'; there are demo, demo_latent"):
        get_config("huge")


@pytest.mark.parametrize("size", ["demo_latent", "demo_latent_rare"])
def test_what_was_published_elsewhere_is_judged_by_the_truth_of_its_feed(size, tmp_path):
    config = get_config(size)
    chosen = rows(config, tmp_path)
    assert {row.signals for row in chosen} >= {"label_and_softmax_negatives", "contrastive", "separate_histories"}
    stages = graph(config, chosen[-1])
    assert stages[0].config == f"configs/world.py:{size.replace('_', ',', 1)}"
    assert "--truth=world" in stages[-1].command(lambda path: path)
    for row in chosen:
        assert (row.weight is None) == (not retrieval_config(f"demo,{row.signals}").negative)
    several = {row: {"long_watch+dislike/content": -0.1} for row in chosen}
    assert order(several) == {}  # which of the weights would it be asked of


def test_the_published_comparison_is_of_both_towers_each_with_every_seed(tmp_path):
    config = get_config("standard")
    config.seeds = (0, 1)
    chosen = rows(config, tmp_path)
    assert [row.label for row in chosen[::2]] == [
        "no_dislike_signal",
        "dislike_input",
        "dislike_input_and_label-w3000",
        "dislike_input_paper_tower",
        "dislike_input_and_label_paper_tower-w3000",
    ]
    assert [row.seed for row in chosen] == [0, 1] * 5
    train = next(stage for stage in graph(config, chosen[5]) if stage.name.startswith("train/"))
    assert train.config == "configs/retrieval.py:standard,dislike_input_and_label"
    assert "--config.negative_weight=3000" in train.command(str)


def test_a_finished_row_has_the_numbers_of_its_stages(tmp_path):
    row = row_in(tmp_path)
    write(row.folder("train") / "metrics.json", {"steps": 9, "grad_norm/p99": 4.0, "labels_per_second": 1.0})
    write(row.folder("test") / "metrics.json", {"recall@100": 0.3, "recall@100/low": 0.2, "mrr": 0.1})
    simulated = {"long_watch+dislike/content": -0.5, "skip/content": -0.1}
    write(row.folder("counterfactual") / "metrics.json", simulated)
    found = collect(row)
    assert found == {
        "steps": 9,
        "grad_norm/p99": 4.0,
        "recall@100": 0.3,
        "recall@100/low": 0.2,
        "long_watch+dislike/content": -0.5,
        "diverged": 0.0,
    }
    headings, cells = alternatives_table.rows_of({row: found})
    assert headings == ["content", "recall@100", "norm p99", "diverged"]  # what no row has is no column
    assert cells == {row.label: ["-50.0%", "0.300", "4", "no"]}


def test_a_term_that_does_not_exist_has_no_norm(tmp_path):
    for signals, there in (("softmax_negatives", False), ("negative_weight", True)):
        row = row_in(tmp_path, signals)
        write(row.folder("train") / "metrics.json", {"valid/negative_gradient_norm": 0.0})
        assert ("valid/negative_gradient_norm" in collect(row)) == there


@pytest.mark.parametrize(
    ("signals", "curves", "said"),
    [
        ("negative_weight", {"valid/recall@100": (0.1, 0.4, 0.19)}, "recall fell to 48%"),
        ("negative_weight", {"valid/recall@100": (0.1, 0.4, 0.21)}, "no"),
        ("negative_weight", {"train_loss": (8.0, 2.0, -9.0)}, "loss without bound"),
        ("negative_weight", {"train_loss": (8.0, 2.0, -7.0)}, "no"),
        ("reinforce", {"train_loss": (0.1, -0.2)}, "no"),
        (
            "negative_weight",
            {"train_loss": (8.0, -80.0), "valid/recall@100": (0.4, 0.0)},
            "loss without bound, recall fell to 0%",
        ),
    ],
)
def test_a_training_has_diverged_by_the_rule(tmp_path, signals, curves, said):
    row = row_in(tmp_path, signals)
    logged(row, **curves)
    found = collect(row)
    assert alternatives_table.rows_of({row: found})[1][row.label][-1] == said
    assert found["diverged"] == (said != "no")


def test_of_several_seeds_there_is_a_mean_and_a_spread(tmp_path):
    name = "long_watch+dislike/content"
    bounds = {f"{name}/low": -0.8, f"{name}/high": -0.6}
    seeds = [{name: -0.5, "recall@100": 0.3, "diverged": 0.0}, {name: -0.7, **bounds, "diverged": 1.0}]
    assert over_seeds(seeds) == pytest.approx(
        {
            "seeds": 2,
            name: -0.6,
            f"{name}/spread": 0.02**0.5,  # sqrt((0.1² + 0.1²) / (2 - 1))
            "recall@100": 0.3,
            "diverged": 0.5,
        }
    )
    measured = {row_in(tmp_path, seed=n): metrics for n, metrics in enumerate(seeds)}
    _, cells = alternatives_table.rows_of(measured)
    assert list(cells.values()) == [["-60.0% ± 14.1%", "0.300", "1 of 2"]]
    numbers = flat(measured)
    assert numbers["negative_weight-w1/long_watch+dislike/content"] == pytest.approx(-0.6)
    assert numbers["negative_weight-w1/seed1/long_watch+dislike/content"] == -0.7
    # The mean of bounds is no interval: each training keeps its own.
    assert {key for key in numbers if key.endswith(("/low", "/high"))} == {
        f"negative_weight-w1/seed1/{bound}" for bound in bounds
    }


def test_the_order_of_the_paper_is_counted_over_seeds(tmp_path):
    def trained(seed, *changes):
        rows_of = (("no_dislike_signal", None), ("dislike_input", None), ("dislike_input_and_label", 1000.0))
        return {
            row_in(tmp_path, signals, weight, seed=seed): {f"long_watch+dislike/{kind}": c for kind in ("content",)}
            for (signals, weight), c in zip(rows_of, changes, strict=True)
        }

    measured = {**trained(0, 0.0, -0.1, -0.6), **trained(1, 0.0, -0.7, -0.6), **trained(2, 0.01, -0.02, -0.03)}
    # What is not clipped is another row, and decides nothing.
    unclipped = row_in(tmp_path, "dislike_input_and_label", 1000.0, seed=0, clip_norm=1e9)
    measured[unclipped] = {"long_watch+dislike/content": 0.0}
    assert order(measured) == {"order/content": pytest.approx(2 / 3), "order/creator": 0.0}
    assert alternatives_table.ordered(measured).endswith("holds in so many of 3 seed(s): by content 2, by creator 0")
    without_last = {row: of for row, of in measured.items() if row.signals != "dislike_input_and_label"}
    assert order(without_last) == {}
    # The paper's own tower has an order of its own, where it is trained; the blind model is the same.
    for signals, weight, changes in (
        ("dislike_input_paper_tower", None, (-0.03, -0.02, -0.02)),
        ("dislike_input_and_label_paper_tower", 1000.0, (-0.02, -0.04, -0.04)),
    ):
        measured |= {
            row_in(tmp_path, signals, weight, seed=seed): {"long_watch+dislike/content": change}
            for seed, change in enumerate(changes)
        }
    found = order(measured)
    assert found["order/paper_tower/content"] == pytest.approx(2 / 3)  # of seed 2: 0.01 < 0.02 < 0.04
    assert found["order/content"] == pytest.approx(2 / 3)
    assert alternatives_table.ordered(measured).endswith(
        "on the paper’s tower by content 2, on the paper’s tower by creator 0"
    )


class FailingEngine:
    """Stands where the engine does: a training that ends with a status, and leaves diverged.json or nothing."""

    status, diverges = 3, True

    def __init__(self, stages, *, workdir, lock):
        self._folder = next(workdir / stage.folder for stage in stages if stage.name.startswith("train/"))

    def run(self, names):
        if self.diverges:
            write(self._folder / "diverged.json", {"step": 70, "grad_norm/max": 1e30})
        return self.status


def test_that_a_training_diverged_is_a_result_and_another_failure_is_not(tmp_path, monkeypatch):
    monkeypatch.setattr(alternatives_runs, "Engine", FailingEngine)
    config, row = get_config("tiny"), row_in(tmp_path)
    assert run(config, row, lock=0) == 0
    assert collect(row) == {"diverged": 1.0, "diverged_at_step": 70, "grad_norm/max": 1e30}
    assert alternatives_table.rows_of({row: collect(row)})[1][row.label][-2:] == ["1e+30", "not finite at step 70"]
    # Another time it fails otherwise: what an earlier run left is not taken for this one's.
    monkeypatch.setattr(FailingEngine, "diverges", False)
    assert run(config, row, lock=0) == 3
    monkeypatch.setattr(FailingEngine, "diverges", True)
    monkeypatch.setattr(FailingEngine, "status", 2)
    assert run(config, row, lock=0) == 2


def test_the_page_draws_what_was_logged_and_survives_what_was_not(tmp_path):
    chosen = [row_in(tmp_path), row_in(tmp_path, "dislike_input", None)]
    log = chosen[0].folder("train") / "metrics.jsonl"
    log.parent.mkdir(parents=True)
    values = [(50, 2.0), (100, None), (150, 40.0)]
    lines = [{"step": step, "name": "train/grad_norm_max", "value": value} for step, value in values]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert curves(chosen[0].folder("train")) == {"train/grad_norm_max": [(50, 2.0), (150, 40.0)]}
    assert curves(chosen[1].folder("train")) == {}
    measured = {row: {"recall@100": 0.25} for row in chosen}
    page = alternatives_table.page(measured)
    assert page.count("<svg") == 2
    assert "<td>negative_weight-w1</td><td>0.250</td>" in page
    printed = alternatives_table.table(measured).splitlines()
    assert len(printed) == 3  # headings and two rows; of the order nothing, as its rows are others
    assert "recall@100" in printed[0]


def test_every_row_has_a_colour_of_its_own_and_a_larger_weight_a_darker_one(tmp_path):
    for size in ("demo", "demo_latent"):
        chosen = rows(get_config(size), tmp_path)
        colours = alternatives_table.colours_of(chosen)
        distinct = {(row.signals, row.weight) for row in chosen}
        assert set(colours) == distinct
        assert len(set(colours.values())) == len(distinct)
        assert all(0 <= part <= 1 for colour in colours.values() for part in colour)
    of_label = [colours["dislike_input_and_label", weight] for weight in (10.0, 100.0, 1000.0, 10000.0)]
    assert sorted(of_label, key=sum, reverse=True) == of_label
