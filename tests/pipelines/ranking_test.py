"""The ranking section on made-up numbers, its stages, and a run without ranking."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from configs import pipeline
from data.traits import Traits
from pipelines.report.run_folder import Run
from pipelines.systems.ranking.results import Ranking
from pipelines.systems.ranking.stages import ranking_variants
from pipelines.systems.ranking.stages import stages as ranking_stages
from pipelines.systems.ranking.tables import differences, groups, row_title, rows, sentences, wanted
from runtime.errors import UsageError
from tests.helpers.made_up_figures import empty_run, numbers_of, page_of, with_interval, write

TASKS = ("EVV", "GVV")


def _metrics() -> dict[str, float]:
    found = {
        "impressions": 900.0,
        "users": 90.0,
        "seeds": 3.0,
        "groups/left_out": 1.0,
        "engagement/growth/impressions": 300.0,
    }
    for row, auc in (
        ("", 0.7),
        ("no_feedback_encoder/", 0.69),
        ("lightgbm/", 0.71),
        ("popularity/", 0.5),
        ("ceiling/", 0.75),
    ):
        for task in TASKS:
            found |= with_interval(f"{row}{task}/auc", auc, 0.01) | with_interval(f"{row}{task}/gauc", auc - 0.1, 0.01)
            found |= with_interval(f"{row}{task}/logloss", 0.6, 0.01) | with_interval(f"{row}{task}/ece", 0.01, 0.002)
            found[f"{row}{task}/uncalibrated/ece"] = 0.04
            if row:
                half = 0.02 if task == "GVV" else 0.004  # the second task's difference holds zero
                found |= with_interval(f"{row}{task}/auc/difference", 0.7 - auc, half)
        found |= with_interval(f"{row}fused/ndcg@10", 0.5, 0.01) | with_interval(f"{row}fused/skip@10", 0.3, 0.01)
    found |= {f"{task}/gauc/left_out": 40.0 for task in TASKS}
    found |= with_interval("engagement/growth/EVV/auc", 0.72, 0.02)
    return found | with_interval("no_feedback_encoder/engagement/growth/EVV/auc/difference", 0.015, 0.005)


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    return empty_run(tmp_path)


@pytest.fixture
def workdir(empty: Path) -> Path:
    folder = empty / "ranking"
    write(folder / "test" / "metrics.json", _metrics())
    gamma = {"EVV": 0.5, "GVV": -0.5}
    test = {0: {"ndcg": 0.5, "skip": 0.3}, 1: {"ndcg": 0.49, "skip": 0.28}}
    trade = [{"penalty": p, "gamma": gamma, "valid": {}, "test": quality} for p, quality in test.items()]
    curves = {
        "penalty": 1.0,
        "gamma": dict.fromkeys(("model", "no_feedback_encoder", "lightgbm", "popularity", "ceiling"), gamma),
        "trade_off": trade,
        "gates": {"EVV": [0.25, 0.75], "GVV": [0.5, 0.5]},
        "slots": [["user", 0.4], ["item/creator", 0.6]],
    }
    write(folder / "test" / "curves.json", curves)
    bins = {"examples": [500, 399, 1], "predicted": [0.2, 0.6, 0.9], "observed": [0.25, 0.55, 0.0]}
    reliability = {"calibrator": {"slope": 1.0, "bias": 0.0}, "uncalibrated": bins, "calibrated": bins}
    write(folder / "test" / "reliability.json", {"model": dict.fromkeys(TASKS, reliability)})
    write(folder / "aligned" / "validate" / "metrics.json", {"satisfaction/auc": 0.6})
    write(folder / "aligned" / "validate" / "curves.json", {"gamma": {"model": {"satisfaction": 0.25}}})
    train_folder = folder / "train" / "full"
    write(train_folder / "config.json", {"config": {"tasks": TASKS}})
    write(train_folder / "metrics.json", {"auc": 0.7})
    lines = [{"step": s, "name": f"train/{t}_weight", "value": 0.5 + s / 10} for t in TASKS for s in (0, 1)]
    (train_folder / "metrics.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    return empty


def test_page_holds_the_ranking_section_with_all_its_charts(workdir: Path) -> None:
    page = page_of(workdir)
    section = page[page.index('id="ranking"') : page.index('id="frontier"')]
    assert section.count("<svg") == 2 * 5  # calibration, λ, gates, slots, trade-off: wide and narrow
    assert "LightGBM" in section
    assert "Means over 3 trainings of each row, by seed; the intervals are over users and seeds." in section
    assert "+0.0100" in section  # 0.70 − 0.69
    assert "Fused score: +0.50 · EVV −0.50 · GVV." in section
    assert "aligned with satisfaction: +0.25 · satisfaction." in section
    ids = re.findall(r'<clipPath id="([^"]+)"', page)
    assert len(set(ids)) == len(ids)
    assert not re.search(r"""(src|href)=["'](?!#)""", re.sub(r'xlink:href="#[^"]*"', "", page))


def test_the_page_explains_the_tasks_that_were_learned(workdir: Path) -> None:
    said = page_of(workdir)
    assert "<b>EVV</b>: watched longer than half of the item’s viewers; <b>GVV</b>: watched for under three" in said
    assert "<b>FVV</b>" not in said
    write(workdir / "ranking" / "train" / "full" / "config.json", {"config": {"tasks": ["click", "like"]}})
    assert "how likely each reaction is. <b>GAUC</b> is" in page_of(workdir)


@pytest.mark.parametrize(
    ("happened", "counted"),
    [(("long_view", "like"), "long views"), (("click",), "clicks"), (("follow", "like"), "likes and follows")],
)
def test_lists_are_measured_by_what_the_log_has(workdir: Path, happened, counted) -> None:
    traits = Traits(100, feedback=dict.fromkeys(happened, 0.1))
    write(workdir / "timelines" / "manifest.json", {"traits": dataclasses.asdict(traits)})
    assert wanted(Ranking(Run(workdir))) == counted


def test_a_run_without_ranking_still_gives_a_report(empty: Path) -> None:
    assert not any(name.startswith("ranking/") for name in numbers_of(empty))
    assert "the stage <code>ranking/test</code> has left no numbers" in page_of(empty)


def test_a_pipeline_without_ranking_leaves_no_trace_of_an_earlier_ones(workdir: Path) -> None:
    config = pipeline.get_config("tiny").to_dict()
    write(workdir / "pipeline.json", {**config, "ranking": ""})
    assert not any(name.startswith("ranking/") for name in numbers_of(workdir))
    assert not re.search(r'(id|href)="#?ranking"', page_of(workdir))


def test_a_run_whose_ranking_is_not_yet_measured_says_so(empty: Path) -> None:
    write(empty / "ranking" / "train" / "full" / "metrics.json", {"auc": 0.7})
    assert "the stage <code>ranking/test</code> has left no numbers" in page_of(empty)


def test_a_measurement_without_charts_is_a_table(workdir: Path) -> None:
    for name in ("curves.json", "reliability.json"):
        (workdir / "ranking" / "test" / name).unlink()
    (workdir / "ranking" / "train" / "full" / "metrics.jsonl").unlink()
    page = page_of(workdir)
    assert "The ranker" in page
    assert page.count("<svg") == 0


def test_rows_and_differences_are_named_and_ordered(workdir: Path) -> None:
    ranking = Ranking(Run(workdir))
    assert [row.label for row in rows(ranking)] == [
        "Popularity",
        "LightGBM",
        "Without the feedback encoder",
        "The ranker",
        "The feed’s own probabilities",
    ]
    assert [row.emphasis for row in rows(ranking)] == [False, False, False, True, False]
    assert not rows(ranking)[-1].best
    (cell,) = [row.cells[0] for row in differences(ranking) if row.label == "LightGBM"]
    assert cell is not None
    assert cell.value == pytest.approx(0.7 - 0.71)
    assert row_title("single_task_EVV") == "Trained on EVV alone"
    (group,) = groups(ranking)
    assert group.label == "engagement: growth (300)"
    assert [cell.value if cell else None for cell in group.cells] == [0.72, 0.015, None, None]


def test_sentences_follow_the_intervals(workdir: Path) -> None:
    ranking = Ranking(Run(workdir))
    against_trees, against_baseline, against_popularity, of_feed = sentences(ranking)
    assert "have an AUC of EVV 0.7500, GVV 0.7500: the rest is luck" in of_feed
    assert against_trees == (
        "Against LightGBM on the same information, AUC is lower on EVV (−0.0100); "
        "not to be told apart on GVV (−0.0100)."
    )
    assert "higher on EVV (+0.0100); not to be told apart on GVV (+0.0100)" in against_baseline
    # Beside the claim on trees: the simplest row there is.
    assert against_popularity.startswith(
        "Against the popularity of the item, which learns nothing, AUC is higher on EVV"
    )


def test_the_best_of_each_column_is_marked_whoever_has_it(workdir: Path) -> None:
    page = page_of(workdir)
    section = page[page.index('id="ranking"') : page.index('id="frontier"')]
    trees, ranker = (
        section[section.index(f"<td>{name}</td>") :].partition("</tr>")[0] for name in ("LightGBM", "The ranker")
    )
    assert '<td class="best"><b>0.710</b>' in trees
    assert "<td><b>0.700</b>" in ranker
    assert "<b>Underlined</b></span>: the best value of its column" in section


def test_flat_names_say_the_stage_and_the_row(workdir: Path) -> None:
    numbers = numbers_of(workdir)
    assert numbers["ranking/test/lightgbm/EVV/auc"] == 0.71
    assert numbers["ranking/train/full/auc"] == 0.7
    assert numbers["ranking/aligned/validate/satisfaction/auc"] == 0.6


def test_stages_train_every_variant_and_measure_them_together() -> None:
    config = pipeline.get_config("tiny")
    with config.unlocked():
        config.ranking, config.ranking_variants, config.satisfaction_weight = "tiny", ("mlp",), 0.0
    found = {stage.name: stage for stage in ranking_stages(config)}
    names, train = ("full", "full-seed1", "mlp", "mlp-seed1"), "ranking/train"
    trained = [f"ranking/train/{name}" for name in names]
    assert list(found) == [*trained, "ranking/validate", "ranking/export", "ranking/ceiling", "ranking/test"]
    test = found["ranking/test"]
    assert f"--checkpoint={train}/full,{train}/full-seed1" in test.command(str)
    assert f"--compare=mlp={train}/mlp,mlp={train}/mlp-seed1" in test.command(str)
    assert "--truth=ranking/ceiling/truth" in test.command(str)
    assert "--split=test" in test.command(str)
    assert "--nolightgbm" in found["ranking/validate"].command(str)
    assert "--config.seed=1" in found["ranking/train/full-seed1"].command(str)
    for name in names:
        assert set(found[f"ranking/train/{name}"].outputs) <= set(test.inputs)
    with config.unlocked():
        config.world, config.ranking_seeds = "", 1  # the user's own log has no ceiling
    found = {stage.name: stage for stage in ranking_stages(config)}
    assert list(found) == [
        "ranking/train/full",
        "ranking/train/mlp",
        *(f"ranking/{n}" for n in ("validate", "export", "test")),
    ]


def test_the_first_ranker_is_exported_as_the_validation_days_say() -> None:
    config = pipeline.get_config("tiny")
    with config.unlocked():
        config.ranking = "tiny"
    found = {stage.name: stage for stage in ranking_stages(config)}
    export = found["ranking/export"]
    assert export.module == "ranking.export"
    assert f"--checkpoint={found['ranking/train/full'].folder}" in export.command(str)
    assert f"--evaluation={found['ranking/validate'].folder}" in export.command(str)
    assert set(found["ranking/validate"].outputs) < set(export.inputs)
    assert Path("ranking/export/ranker/manifest.json") in export.outputs


def test_the_aligned_ranker_learns_from_scores_of_days_that_are_not_measured() -> None:
    config = pipeline.get_config("tiny")
    with config.unlocked():
        config.ranking_variants = ("satisfaction",)
    found = {stage.name: stage for stage in ranking_stages(config)}
    scores = Path("satisfaction/time/train/scores")
    train = found["ranking/train/satisfaction"]
    assert f"--satisfaction={scores}" in train.command(str)
    assert scores / "manifest.json" in train.inputs
    assert not any(flag.startswith("--satisfaction") for flag in found["ranking/train/full"].command(str))
    with config.unlocked():
        config.satisfaction_protocols, config.satisfaction_weight = ("leave_one_out",), 0.0
    with pytest.raises(UsageError, match=r"learns from the scores of --config\.satisfaction_protocols 'time'"):
        ranking_stages(config)


def test_the_aligned_ranker_is_chosen_with_satisfaction_and_exported_beside_the_first() -> None:
    config = pipeline.get_config("tiny")
    found = {stage.name: stage for stage in ranking_stages(config)}
    names = ["ranking/train/satisfaction", "ranking/aligned/validate", "ranking/aligned/export"]
    assert list(found)[-3:] == names
    train, validate, export = (found[name] for name in names)
    assert "--satisfaction_weight=2" in validate.command(str)
    assert "--split=valid" in validate.command(str)
    assert f"--checkpoint={train.folder}" in validate.command(str)
    assert f"--checkpoint={train.folder}" in export.command(str)
    assert f"--evaluation={validate.folder}" in export.command(str)
    scores = Path("satisfaction/time/train/scores/manifest.json")  # read again by each of them
    for stage in (validate, export):
        assert {scores, *train.outputs} <= set(stage.inputs)
    assert set(validate.outputs) < set(export.inputs)
    assert not any("satisfaction" in flag for n in ("validate", "test") for flag in found[f"ranking/{n}"].command(str))
    with config.unlocked():
        config.ranking_variants = ("satisfaction",)  # held up against the first too, but trained once
    names = [stage.name for stage in ranking_stages(config)]
    assert names.count("ranking/train/satisfaction") == 1
    with config.unlocked():
        config.ranking_variants, config.satisfaction_protocols = (), ()
    with pytest.raises(UsageError, match=r"--config\.satisfaction_weight: the ranker 'satisfaction' learns from the "):
        ranking_stages(config)


def test_a_pipeline_without_ranking_has_no_such_stages() -> None:
    config = pipeline.get_config("tiny")
    with config.unlocked():
        config.ranking = ""
    assert ranking_variants(config) == ()
    assert ranking_stages(config) == []
