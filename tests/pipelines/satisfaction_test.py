"""The satisfaction section on made-up numbers, and its stages."""

import json
from pathlib import Path

import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from configs import pipeline
from pipelines.report.run_folder import Run
from pipelines.systems.satisfaction import ablations
from pipelines.systems.satisfaction import stages as of_satisfaction
from pipelines.systems.satisfaction.results import protocols
from pipelines.systems.satisfaction.tables import gains, groups, rows, sentences
from satisfaction.experiments.variants import variants_of
from satisfaction.saqrec.batch_loss import CLICK_LOSSES
from tests.helpers.made_up_figures import numbers_of, page_of

# A pipeline that asks for the protocol whose figures are made up below, and for ablations.
CONFIG = {
    **pipeline.get_config("tiny").to_dict(),
    "satisfaction_protocols": ("leave_one_out",),
    "satisfaction_weight": 0,
}
METRICS = ("hr@1", "hr@5", "hr@10", "ndcg@5", "ndcg@10", "mrr", "full/hr@10", "full/mrr")


def with_bounds(name, value, half=0.01):
    return {name: value, f"{name}/low": value - half, f"{name}/high": value + half}


def write(path: Path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


@pytest.fixture
def workdir(tmp_path):
    write(tmp_path / "pipeline.json", CONFIG)
    folder = tmp_path / "satisfaction" / "leave_one_out"
    test = {"users": 40.0, "items": 90.0, "level_weight/1": 0.31, "level_weight/2": -0.12}
    for prefix, value in (("", 0.5), ("item_knn/", 0.4), ("gru_softmax/", 0.45), ("popularity/", 0.6)):
        for metric in METRICS:
            test |= with_bounds(prefix + metric, value)
        for group in ("G1", "G2", "G3", "G4"):
            test |= with_bounds(f"{prefix}{group}/hr@10", value)
    for name, gain in (("item_knn", 0.1), ("gru_softmax", 0.005), ("popularity", -0.1)):
        for metric in METRICS:
            test |= with_bounds(f"gain_over/{name}/{metric}", gain)
    write(folder / "test" / "metrics.json", test)
    click = {"item": 77, "cluster": None, "reactions": ["long_view"], "satisfaction": 0.812, "level": 1}
    write(folder / "test" / "examples.json", [{"user": 5, "clicks": [click]}])
    write(folder / "train" / "metrics.json", {"align/saqrec/valid/mrr": 0.26})
    write(folder / "train" / "propensity" / "reliability.json", {"predicted": [0.1, 0.2], "observed": [0.12, 0.19]})
    return tmp_path


def test_rows_end_with_the_main_model(workdir):
    (protocol,) = protocols(Run(workdir))
    table = rows(protocol)
    assert [row.label for row in table] == ["Item-kNN", "GRU over ids, likewise", "Popularity", "SAQRec"]
    assert [row.emphasis for row in table] == [False, False, False, True]
    assert [point.value for point in table[-1].cells] == [0.5] * 8
    assert [point.value for point in gains(protocol)[0].cells] == [0.1] * 8
    assert [point.value for point in groups(protocol)[0].cells] == [0.4] * 4


def test_sentences_say_what_the_intervals_bear_out(workdir):
    (protocol,) = protocols(Run(workdir))
    ahead, level, behind = sentences(protocol)
    assert ahead == "In MRR SAQRec is ahead of Item-kNN (by +0.1000, 95% interval +0.0900 to +0.1100)."
    assert level.startswith("It cannot be told from GRU over ids, likewise")
    assert behind.startswith("It is behind Popularity (by −0.1000")
    protocol.rows = ("popularity",)
    assert sentences(protocol)[0].startswith("In MRR SAQRec is behind Popularity (by −0.1000")


def test_the_page_shows_the_section(workdir):
    page = page_of(workdir)
    section = page.partition('<section id="satisfaction">')[2].partition("</section>")[0]
    for shown in ("40 users, 90 items", "Item 77", "0.812", "long view", "Mean weight", "Share that answered"):
        assert shown in section
    numbers = numbers_of(workdir)
    assert numbers["satisfaction/leave_one_out/test/item_knn/hr@10"] == 0.4
    assert numbers["satisfaction/leave_one_out/train/align/saqrec/valid/mrr"] == 0.26


def test_the_best_of_each_column_is_marked_whoever_has_it(workdir):
    # Popularity has 0.6 of everything, SAQRec 0.5; of the ablations that without levels has most, 0.4.
    ablated(workdir)
    page = page_of(workdir)
    section = page.partition('<section id="satisfaction">')[2].partition("</section>")[0]
    lines = [line for line in section.split("<tr") if '<td class="best"' in line]
    named = [(line.partition("<td>")[2].partition("</td>")[0], line.count('<td class="best"')) for line in lines]
    ablation = ("without levels (MLSE)", len(METRICS) - 2)  # under either loss
    assert named == [("Popularity", len(METRICS)), ("Popularity", len(("G1", "G2", "G3", "G4"))), ablation, ablation]
    assert "<b>Underlined</b></span>: the best value of its column" in section


def test_a_run_without_satisfaction_still_gives_a_page(tmp_path):
    write(tmp_path / "pipeline.json", pipeline.get_config("tiny").to_dict())
    assert not any(name.startswith("satisfaction/") for name in numbers_of(tmp_path))
    section = page_of(tmp_path).partition('<section id="satisfaction">')[2].partition("</section>")[0]
    assert "Not measured in this run" in section


def test_a_run_that_was_cut_short_says_what_is_missing(workdir):
    (workdir / "satisfaction" / "leave_one_out" / "test" / "metrics.json").unlink()
    page = page_of(workdir)
    assert "satisfaction/leave_one_out/test" in page


def ablated(workdir, *, losses=("exact", "bce"), sweeps=()):
    gains = {"no_unbiased": 0.005, "no_sid": 0.1, "no_mlse": -0.1, "gru_softmax": 0.2, **dict.fromkeys(sweeps, 0.02)}
    metrics = {"users": 40.0, "items": 90.0, "seeds": 3, "refit": False}
    for loss in losses:
        for name, gain in {"full": 0.0, **gains}.items():
            for metric in ("hr@1", "hr@5", "hr@10", "ndcg@5", "ndcg@10", "mrr"):
                metrics |= with_bounds(f"{loss}/{name}/{metric}", 0.3 - gain)
                if name != "full":
                    metrics |= with_bounds(f"{loss}/gain_over/{name}/{metric}", gain)
        metrics[f"{loss}/full/valid/mrr"] = 0.321
    write(workdir / "satisfaction" / "leave_one_out" / "ablations" / "metrics.json", metrics)
    (protocol,) = protocols(Run(workdir))
    return protocol


def test_ablations_are_told_apart_where_the_interval_is_clear_of_zero(workdir):
    exact, bce = ablations.tables(ablated(workdir))
    assert (exact.loss, bce.loss) == ("Exact softmax", "Binary cross entropy, the paper’s")
    assert exact.verdict == (
        "In MRR the full model is better, beyond the interval, than the one without disentanglement (SID) "
        "(by +0.1000, 95% interval +0.0900 to +0.1100); it cannot be told from the one without unbiased satisfaction "
        "(by +0.0050, 95% interval −0.0050 to +0.0150); it is worse, beyond the interval, than the one without levels "
        "(MLSE) (by −0.1000, 95% interval −0.1100 to −0.0900)."
    )
    labels = [row.label for row, _ in exact.rows]
    assert labels[0] == "SAQRec, full"
    assert labels[-1] == "GRU over ids, likewise"
    assert exact.rows[0][1].cells == [None, None]
    assert [point.value for point in exact.rows[2][1].cells] == [0.1, 0.1]
    numbers = numbers_of(workdir)
    assert numbers["satisfaction/leave_one_out/ablations/bce/gain_over/no_sid/mrr"] == 0.1


def test_the_page_shows_ablations_and_sweeps_where_there_are_any(workdir):
    def section(_=None):
        return page_of(workdir).partition('<section id="satisfaction">')[2].partition("</section>")[0]

    plain = section()
    assert "What each part is worth" not in plain
    assert "<code>satisfaction/leave_one_out/ablations</code>" in plain  # asked for by the pipeline, and not there
    config = pipeline.get_config("kuairand_pure_short").to_dict()
    write(workdir / "pipeline.json", {**config, "satisfaction": "tiny"})
    assert "ablations" not in section()
    assert "ablations" not in section(ablated(workdir))  # of an earlier pipeline
    write(workdir / "pipeline.json", CONFIG)
    shown = section(ablated(workdir))
    for text in ("What each part is worth: Exact softmax", "Means over 3 seeds", "0.321", "cannot be told from"):
        assert text in shown
    assert "At other settings" not in shown
    swept = section(ablated(workdir, sweeps=("N_I=3", "N_I=5", "beta=0.1", "beta=1")))
    for text in ("At other settings", "levels, N_I", "weight of the satisfaction task, β"):
        assert text in swept
    assert "N_mix" not in swept


def test_a_setting_is_drawn_by_what_it_has_more_than_the_full_model(workdir, monkeypatch):
    drawn = []
    monkeypatch.setattr(ablations, "draw", lambda paint, **_: paint(Figure(), False))
    monkeypatch.setattr(Axes, "plot", lambda self, *args, **_: drawn.append(args))
    ablations.sweeps(ablated(workdir, losses=("exact",), sweeps=("N_I=3", "N_I=5")))
    (line,) = [args for args in drawn if "o-" in args]
    assert line == ([3.0, 5.0], [-0.02, -0.02], "o-")


def test_stages_train_then_measure_under_each_protocol():
    config = pipeline.get_config("tiny")
    with config.unlocked():
        config.satisfaction = ""
        assert of_satisfaction.stages(config) == []
        config.satisfaction, config.satisfaction_protocols = "tiny", ("leave_one_out", "time")
    stages = of_satisfaction.stages(config)
    assert [stage.name for stage in stages] == [
        "satisfaction/leave_one_out/train",
        "satisfaction/leave_one_out/test",
        "satisfaction/leave_one_out/ablations",
        "satisfaction/time/train",
        "satisfaction/time/test",
    ]
    train, test = stages[3:]
    assert {"--config.protocol=time", "--config.align.refit", "--data=timelines"} <= set(train.command(str))
    assert train.config == "configs/satisfaction.py:tiny"
    assert set(train.outputs) < set(test.inputs)
    ablate = stages[2]
    folder = Path("satisfaction/leave_one_out")
    assert ablate.module == "satisfaction.ablate"
    asked = {"--what=no_unbiased", "--click_losses=exact", "--seeds=1", "--norefit"}
    assert {"--data=timelines", f"--run={folder / 'train'}", *asked} <= set(ablate.command(str))
    assert set(stages[0].outputs) < set(ablate.inputs)
    assert ablate.outputs == (folder / "ablations" / "metrics.json",)
    with config.unlocked():
        config.satisfaction_ablations.refit = True
        assert "--refit" in of_satisfaction.stages(config)[2].command(str)
        config.satisfaction_ablations = {}
    assert all("ablations" not in stage.name for stage in of_satisfaction.stages(config))


@pytest.mark.parametrize("name", ["kuairand_pure", "tiny"])
def test_what_a_pipeline_ablates_is_known(name):
    asked = pipeline.get_config(name).satisfaction_ablations
    assert variants_of(asked.what)
    assert set(asked.click_losses) <= set(ablations.LOSSES) == set(CLICK_LOSSES)
