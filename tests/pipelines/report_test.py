"""The report on made-up numbers: what it says, what it admits to not knowing, and that it needs nothing else."""

import dataclasses
import json
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from ml_collections import ConfigDict

from configs import pipeline
from pipelines.planning import fitted
from pipelines.report.charts import COLOURS, draw, percent, side_by_side
from pipelines.report.intervals import Point, in_words
from pipelines.report.run_folder import Run
from pipelines.report.tables import best_of
from pipelines.systems.retrieval import tables
from pipelines.systems.retrieval.charts import training
from pipelines.systems.retrieval.findings import cards, headline
from pipelines.systems.retrieval.models import TITLES, Models
from pipelines.systems.retrieval.stages import variants
from pipelines.systems.serving.sections import LEARNS_FROM
from retrieval.objective import OBJECTIVES
from tests.helpers import browser
from tests.helpers.made_up_figures import empty_run, numbers_of, page_of, with_interval, write
from tests.logs import random_timelines
from tests.logs.made_up_log import log_of

CHANGES = {
    "no_dislike_signal": 0.0,
    "dislike_input_paper_tower": -0.03,
    "dislike_input_and_label_paper_tower": -0.04,
    "dislike_input": -0.1,
    "dislike_input_and_label": -0.55,
}


COUNTS = {"read": 9, "merged": 0, "dropped": {}, "kept": 9}


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    return empty_run(tmp_path)


@pytest.fixture
def workdir(empty: Path) -> Path:
    return measured(empty, pipeline.get_config("tiny"))


def measured(folder: Path, config: ConfigDict) -> Path:
    """A run of this pipeline in `folder`, all of whose models have been measured."""
    write(folder / "pipeline.json", config.to_dict())
    slate = [{"item_id": 7, "creator_id": 3, "cluster_id": 2, "same_content": True, "same_creator": True}]
    for variant in variants(config):
        learns = variant.signals == "dislike_input_and_label"
        recall, skips = (0.38, 0.1) if learns else (0.4, 0.2)
        rules = {"item_knn/recall@100": 0.45, "item_knn/skip@100": 0.3, "popularity_7d/recall@100": 0.2}
        test = {**with_interval("recall@100", recall, 0.01), "skip@100": skips, **rules}
        write(folder / "test" / variant.name / "metrics.json", test)
        per_user = {"user": np.arange(9), "recall@100": np.full(9, recall), "skip@100": np.full(9, skips)}
        np.savez(folder / "test" / variant.name / "per_user.npz", **per_user)
        change = CHANGES.get(variant.signals, -0.2)
        kinds = {}
        for kind in ("content", "creator"):
            kinds |= with_interval(f"long_watch+dislike/{kind}", change, 0.02 if change else 0.0)
        simulation = folder / "counterfactual" / variant.name
        write(simulation / "metrics.json", kinds)
        simulated = {
            "users": 50,
            "k": 8,
            "slate_size": 10,
            "baseline": "long_watch",
            "branches": ["long_watch+dislike"],
        }
        write(simulation / "config.json", {"config": simulated})
        moved = {**slate[0], "item_id": 8, "same_content": False, "same_creator": False}
        after = [{**moved, "place_before": 9}, {**moved, "item_id": 9, "place_before": None}]
        slates = {"long_watch": [{**slate[0], "place_before": 1}], "long_watch+dislike": after}
        shares = {"long_watch": {"content": 6, "creator": 2}, "long_watch+dislike": {"content": 1, "creator": 0}}
        history = [{"item_id": 5, "action": "skip"}, {"item_id": 6, "title": "Rain & sun", "action": "skip"}]
        example = {"user": 0, "history": history, "item": slate[0], "slates": slates, "shares": shares}
        write(simulation / "examples.json", [example])
        curve = [{"step": s, "name": "train_loss", "value": 9.0 - s} for s in (0, 1, 1, 2)]
        (folder / "train" / variant.name).mkdir(parents=True)
        lines = "\n".join(json.dumps(point) for point in curve) + '\n{"step": 3, "na'  # cut by a kill
        (folder / "train" / variant.name / "metrics.jsonl").write_text(lines)
    chosen = {f"{signals}/negative_weight": sweep.weights[0] for signals, sweep in config.sweeps.items()}
    recalls = {f"{signals}/recall@100{end}": 0.4 for signals in config.sweeps for end in ("", "/reference")}
    write(folder / "selected" / "metrics.json", {**chosen, **recalls})
    return folder


def test_headline_states_the_change_its_interval_and_its_price(workdir: Path) -> None:
    models = Models(Run(workdir))
    said = " ".join(headline(models))
    assert "next 10 recommendations falls by 55.0% (95% interval 53.0% to 57.0%)" in said
    assert "falls by 10.0% (95% interval 8.0% to 12.0%)" in said
    assert "blind to them, it stays as it is" in said
    assert "Recall@100 falls by 5.0%" in said  # 0.38 / 0.4 - 1
    assert "from 0.400 to 0.380." in said  # and nothing of users who said no, as nobody has


def test_the_price_is_told_of_those_who_said_no_too(workdir: Path) -> None:
    models = Models(Run(workdir))
    served = models.chosen("dislike_input_and_label")
    for model, found in ((models.named(served.reference), 0.5), (served, 0.25)):
        said_no = np.where(np.arange(9) < 4, found, np.nan)
        model.test_users["recall@100/said_no"] = said_no
        model.test |= {"users/said_no": 4.0, "recall@100/said_no": found}
    said = " ".join(headline(models))
    assert "from 0.400 to 0.380; for the 4 users who had said no before, it falls by 50.0%." in said
    assert "Recall@100, said no" in [heading for _, heading, _ in tables.columns(models)]


def test_the_headline_and_the_cards_say_what_the_papers_tower_does_and_what_a_simple_rule_finds(workdir: Path) -> None:
    models = Models(Run(workdir))
    said = " ".join(headline(models))
    assert (
        "On the paper’s own tower, which learns by the same loss and has neither a memory nor anything counted, the "
        "same figure falls by 4.0%" in said
    )
    assert "The best simple rule on these days, Item-kNN, which learns no parameters, has a Recall@100 of 0.450" in said
    assert "the served model has 0.380" in said
    figures = {card.caption: card.figure for card in cards(models)}
    assert figures["the same loss on the paper’s own tower, without either"] == "−4.0%"
    assert figures["Recall@100: the served model against the best simple rule, Item-kNN"] == "0.380 vs 0.450"


def test_the_chart_and_the_model_card_have_both_towers(workdir: Path) -> None:
    page = page_of(workdir)
    figure = page[page.index('aria-label="Change in similar items') : page.index("</figure>")]
    for signals in CHANGES:
        assert COLOURS[signals] in figure or not CHANGES[signals]
    # wide and narrow, by content and creator: the latter has its labels once where panels stand side by side
    assert figure.count("the paper’s tower</") == 2 * (1 + 2)
    assert "Dislikes as input and label, the paper’s tower: −4.0%; " in page[page.index('id="card"') :]


def test_the_best_of_each_column_is_marked_by_its_direction(workdir: Path) -> None:
    models = Models(Run(workdir))
    rows = tables.retrieval(models)
    column = {name: n for n, (name, _, _) in enumerate(tables.columns(models))}
    best = {name: {row.label for row in rows if column[name] in row.best} for name in column}
    assert {*best} == {"recall@100", "skip@100"}  # nothing else was measured
    assert best["recall@100"] == {"Item-kNN"}  # 0.45
    # 0.1, all that learn from dislikes and remember them: the fewest skips
    assert best["skip@100"] == {row.label for row in rows if "label, with memory" in row.label} != set()
    assert '<td class="best"><b>0.450</b></td>' in page_of(workdir)
    assert "<b>Underlined</b></span>: the best value of its column" in page_of(workdir)


def test_the_ceiling_is_the_last_row_and_no_contestant(workdir: Path) -> None:
    config = pipeline.get_config("tiny")
    config.judged_by_truth = True
    write(workdir / "pipeline.json", config.to_dict())
    write(workdir / "ceiling" / "metrics.json", with_interval("recall@100", 0.5, 0.01))
    models = Models(Run(workdir))
    last = tables.retrieval(models)[-1]
    assert last.label == tables.THE_CEILING
    assert last.cells[[name for name, _, _ in tables.columns(models)].index("recall@100")] == Point(0.5, 0.49, 0.51)
    assert not last.best
    said = " ".join(headline(models))
    assert "the served model has 0.380, which is 76% of the 0.500 that the feed’s own truth would find." in said
    assert tables.THE_CEILING in page_of(workdir)


def test_what_the_truth_would_take_away_is_the_last_row_of_the_responses(workdir: Path) -> None:
    assert tables.warranted(Models(Run(workdir))) is None
    assert tables.THE_TRUTH not in page_of(workdir)
    served = workdir / "counterfactual" / Models(Run(workdir)).served.name / "metrics.json"
    write(served, json.loads(served.read_text()) | with_interval("filtered/content", -0.25, 0.01))
    found = tables.warranted(Models(Run(workdir)))
    assert found.cells[0] == Point(-0.25, -0.26, -0.24)
    after = page_of(workdir).split(tables.THE_TRUTH)[1].split("</tr>")[0]
    assert "−25.0%" in after


@pytest.mark.parametrize(
    ("values", "better", "best"),
    [
        ((0.1, 0.3, 0.2), 1, [1]),
        ((0.1, 0.3, 0.2), -1, [0]),
        ((0.1, 0.3, 0.2), 0, []),  # neither way is better
        ((0.1234, 0.1226, 0.1), 1, [0, 1]),  # both are printed as 0.123
        ((None, 0.3, 0.2), 1, [1]),
        ((None, 0.3, None), 1, []),  # nothing to be best of
        ((-0.0001, 0.0001), -1, [0, 1]),  # −0.000 and 0.000
    ],
)
def test_the_best_are_those_that_print_as_the_best(values, better: int, best: list[int]) -> None:
    assert [n for n, is_best in enumerate(best_of(values, better=better)) if is_best] == best


def test_changes_are_paired_with_the_sweeps_reference(workdir: Path) -> None:
    changes = Models(Run(workdir)).changes
    assert changes["change/dislike_input_and_label-w100/recall@100"] == pytest.approx(0.38 / 0.4 - 1)
    assert changes["change/dislike_input_and_label-w100/skip@100"] == pytest.approx(0.1 / 0.2 - 1)
    assert "change/dislike_input/recall@100" not in changes


def test_page_needs_nothing_from_elsewhere(workdir: Path) -> None:
    page = page_of(workdir)
    assert not re.search(r"""(src|href)=["'](?!#)""", re.sub(r'xlink:href="#[^"]*"', "", page))
    assert not re.search(r"url\((?!#)|@import|<script", page)


def test_page_holds_every_section_with_charts_and_slates(workdir: Path) -> None:
    page = page_of(workdir)
    assert page.count("<svg") == 2 * 4  # responsiveness, two trades (no dislike@100 here), training: wide and narrow
    assert "Skipped: item 5" in page
    assert "Skipped: “Rain &amp; sun”" in page
    assert "said nothing: 6 of 10 alike, 2 by its creator" in page
    assert "“not interested”: 1 of 10 alike, 0 by its creator" in page
    assert '<li class="same">item 7<span>content 2 · creator <mark>3</mark></span></li>' in page
    assert "<li>item 8 <small>was 9</small><span>content 2 · creator 3</span></li>" in page
    assert "<li>item 9 <small>new</small><span>content 2 · creator 3</span></li>" in page
    assert "−60.8%" in page  # the paper's, beside ours
    assert "Item-kNN" in page


@pytest.mark.filterwarnings("error")
def test_batches_without_a_negative_label_are_no_points_of_their_curve(workdir: Path) -> None:
    """Their mean over no label is logged as 0, and a logarithmic axis of nothing else warns the user."""
    panel = "Mean p of the negative labels"
    curves = workdir / "train" / "dislike_input_and_label-w100" / "metrics.jsonl"
    first = curves.read_text()

    def drawn(*values: float) -> str:
        lines = [json.dumps({"step": s, "name": "train/negative_p", "value": p}) for s, p in enumerate(values)]
        curves.write_text("\n".join([*lines, first]))
        return training(Models(Run(workdir)))

    assert panel not in drawn(0.0, 0.0)
    assert panel in drawn(0.0, 0.25)


def gated(workdir: Path, *, creator: float) -> None:
    checks = [
        {"name": "long_watch+dislike/content", "value": -0.55, "limit": -0.5, "passed": True},
        {"name": "long_watch+dislike/creator", "value": creator, "limit": -0.5, "passed": creator <= -0.5},
        {"name": "recall_loss", "value": 0.05, "limit": 0.06, "passed": True},
    ]
    verdict = {"passed": creator <= -0.5, "checks": checks, "unjudged": {"vectors": "no vectors were given"}}
    write(workdir / "gate" / "verdict.json", verdict)
    write(workdir / "gate" / "metrics.json", {"gate/passed": float(creator <= -0.5)})


def test_the_verdict_stands_with_its_limits_in_section_and_model_card(workdir: Path) -> None:
    gated(workdir, creator=-0.6)
    page = page_of(workdir)
    row = "<td>Change in similar items after a dislike, by creator</td><td>−60.0%</td><td>−50.0%</td><td>passed</td>"
    assert row in page
    lost = "Recall@100 lost on the test days, against no negatives"
    assert f"<td>{lost}</td><td>+5.0%</td><td>+6.0%</td><td>passed</td>" in page
    assert "“Dislikes as input and label, with memory” passes." in page
    assert "Not judged: no vectors were given." in page
    assert "<td>passed: Change in similar items after a dislike, by content −55.0%, at most −50.0%;" in page
    assert numbers_of(workdir)["gate/passed"] == 1.0


def test_a_refused_model_is_not_shown_as_served(workdir: Path) -> None:
    # An earlier run has left an export.
    write(workdir / "serve" / "metrics.json", {"ann/recall@100": 0.99})
    manifest = {"num_items": 9, "dim": 4, "length": 8, "vocabulary_hash": "x", "input_features": [], "lineage": {}}
    write(workdir / "serve" / "recommender" / "manifest.json", manifest)
    gated(workdir, creator=-0.6)
    assert "Approximate search finds <b>99.0%</b>" in page_of(workdir)
    gated(workdir, creator=-0.4)
    page = page_of(workdir)
    assert "<td>−40.0%</td><td>−50.0%</td><td>falls short</td>" in page
    assert "it was not exported for servers" in page
    assert "falls short, not served: " in page
    assert "Approximate search" not in page
    assert "serve/ann/recall@100" not in numbers_of(workdir)
    # A gate that the pipeline no longer has judges nothing.
    pipeline_file = workdir / "pipeline.json"
    write(pipeline_file, {**json.loads(pipeline_file.read_text()), "gate": {}})
    assert "falls short" not in page_of(workdir)
    assert "this pipeline asks for none" in page_of(workdir)


def without(workdir: Path, kind: str) -> None:
    """Takes from a run what it would not have of a log whose items have no such label."""
    column = {"content": "cluster_id", "creator": "creator_id"}[kind]
    for folder in (workdir / "counterfactual").iterdir():
        figures = json.loads((folder / "metrics.json").read_text())
        write(folder / "metrics.json", {name: value for name, value in figures.items() if kind not in name})
        examples = (folder / "examples.json").read_text()
        unknown = [
            {
                **example,
                "shares": {branch: {k: n for k, n in found.items() if k != kind} for branch, found in shares.items()},
            }
            for example in json.loads(re.sub(rf', "same_{kind}": (true|false)|"{column}": \d+, ', "", examples))
            for shares in [example["shares"]]
        ]
        write(folder / "examples.json", unknown)


def test_a_log_without_clusters_is_reported_by_creators(workdir: Path) -> None:
    without(workdir, "content")
    models = Models(Run(workdir))
    said = headline(models)
    assert "the share of items by the same creator among the next 10 recommendations falls by 55.0%" in said[0]
    page = page_of(workdir)
    assert "<code>counterfactual</code> has left no numbers" not in page
    assert "items of its creator in the next slate" in page
    assert page.count("<svg") == 2 * 4
    assert "Similar items after a dislike (creator)" in page
    assert "Content, here" not in page
    assert "−64.1%" in page
    assert "−60.8%" not in page
    assert "alike" not in page
    assert "None" not in page
    assert "said nothing: 2 of 10 by its creator" in page
    assert "<li>item 8 <small>was 9</small><span>creator 3</span></li>" in page


def test_a_log_without_creators_is_reported_by_content(workdir: Path) -> None:
    without(workdir, "creator")
    page = page_of(workdir)
    assert "the same creator" not in page
    assert "said nothing: 6 of 10 alike</h4>" in page
    assert '<li class="same">item 7<span>content 2</span></li>' in page
    assert "item 7</b> (content 2) at length" in page


def test_a_log_without_either_is_reported_by_vectors(workdir: Path) -> None:
    for folder in (workdir / "counterfactual").iterdir():
        figures = json.loads((folder / "metrics.json").read_text())
        by_content = {name.replace("content", "vectors"): value for name, value in figures.items() if "content" in name}
        write(folder / "metrics.json", by_content)
    models = Models(Run(workdir))
    said = headline(models)
    assert "the mean cosine of the next 10 recommendations with that item" in said[0]
    page = page_of(workdir)
    assert page.count("<svg") == 2 * 4
    assert "Vectors, here" in page
    assert "Vectors, paper" not in page
    assert "−60.8%" not in page
    assert "Diamond" not in page


def test_a_row_of_responses_has_a_cell_for_each_heading_and_a_figure_in_it(workdir: Path) -> None:
    for folder in (workdir / "counterfactual").iterdir():
        figures = json.loads((folder / "metrics.json").read_text())
        of_log = {name.replace("content", "embedding"): value for name, value in figures.items() if "content" in name}
        write(folder / "metrics.json", {**figures, **of_log})
    table = page_of(workdir).split('id="responsiveness"')[1].split("<table>")[1].split("</table>")[0]
    rows = [row.split("</tr>")[0] for row in table.split("<tr>")[1:]]
    assert len(rows) == 1 + len(CHANGES)
    for row in rows[1:]:
        assert row.count("<td") == rows[0].count("<th")


def test_only_models_and_published_figures_that_there_are_have_a_row(workdir: Path) -> None:
    config = pipeline.get_config("tiny")
    config.plain, kept = ("dislike_input",), ("dislike_input_and_label",)
    config.sweeps = {signals: {**config.sweeps[signals], "reference": "dislike_input"} for signals in kept}
    config.ab_test = config.ab_ranked = config.off_policy = ""
    write(workdir / "pipeline.json", config.to_dict())
    assert set(Models(Run(workdir)).compared) == set(CHANGES)  # of the paper
    for kind in ("content", "creator"):
        without(workdir, kind)
    assert set(Models(Run(workdir)).compared) == {*config.plain, *kept}


@pytest.mark.parametrize("others", [("no_dislike_signal", "dislike_input"), ()])
def test_a_model_whose_signals_have_no_name_in_the_report_is_called_by_them(
    others: tuple[str, ...], tmp_path: Path
) -> None:
    """Whatever configs/retrieval.py knows can be trained, and the report comes after it has been."""
    config = pipeline.get_config("tiny")
    config.plain = (*others, "dislike_excluded")
    config.ab_arms = (config.plain[0], config.serve)
    if not others:
        config.serve, config.sweeps, config.gate, config.experiments = "dislike_excluded", {}, {}, {}
        config.ab_test = config.ab_ranked = config.off_policy = ""
    page = page_of(measured(tmp_path, config))
    for section in ("retrieval", "training"):
        assert "dislike excluded" in page.split(f'<section id="{section}">')[1].split("</section>")[0]


def manifest_of(*, items: int, clusters: bool = True, creators: bool = True) -> dict:
    traits = {"events": 9, "feedback": {"click": 1.0}, "clusters": clusters, "creators": creators}
    return {"num_items": items, "traits": traits}


@pytest.mark.parametrize(
    ("known", "label"),
    [
        ({}, "Counts by cluster and creator"),
        ({"creators": False}, "Counts by cluster"),
        ({"clusters": False}, "Counts by creator"),
        ({"clusters": False, "creators": False}, None),  # that is popularity, which has a row
    ],
)
def test_counts_are_called_by_what_the_log_has_to_count_by(workdir: Path, known: dict, label: str | None) -> None:
    test = {**with_interval("recall@100", 0.4, 0.01), "counts/recall@100": 0.6}
    write(workdir / "test" / "no_dislike_signal" / "metrics.json", test)
    write(workdir / "timelines" / "manifest.json", manifest_of(items=1_000, **known))
    models = Models(Run(workdir))
    assert [row.label for row in tables.retrieval(models) if row.label.startswith("Counts")] == [label] * bool(label)
    assert tables.best_rule(models) == ((label, 0.6) if label else ("Item-kNN", 0.45))


@pytest.mark.parametrize(("items", "said"), [(125, "Of only 125 items the top 100 is 80%"), (500, ""), (0, "")])
def test_of_few_items_recall_at_100_is_said_to_be_chance(workdir: Path, items: int, said: str) -> None:
    write(workdir / "timelines" / "manifest.json", manifest_of(items=items))
    models = Models(Run(workdir))
    assert tables.small_corpus(models).startswith(said)
    assert bool(tables.small_corpus(models)) == bool(said)
    assert ("an order by chance has a Recall@100 of 0.80 or more" in " ".join(headline(models))) == bool(said)


def test_what_counts_as_liked_is_said(workdir: Path) -> None:
    assert "which is on this log" not in page_of(workdir)
    config = {"config": {"positive": ["long_view", "like"]}}
    write(workdir / "train" / "dislike_input" / "config.json", config)
    assert "what the user liked, which is on this log a long view or a like; " in page_of(workdir)


def test_the_card_says_what_item_vectors_are_made_of(workdir: Path) -> None:
    assert "item vectors from id alone." in page_of(workdir)
    manifest = {"num_items": 9, "dim": 4, "length": 8, "vocabulary_hash": "x", "input_features": [], "lineage": {}}
    features = [{"name": "creator"}, {"name": "item.price"}]
    write(workdir / "serve" / "recommender" / "manifest.json", {**manifest, "item_features": features})
    assert "item vectors from id, creator and price." in page_of(workdir)


@pytest.mark.parametrize(
    ("signals", "said"),
    [
        ("no_dislike_signal", "Positive labels alone"),
        ("dislike_input", "Positive labels alone"),
        ("dislike_input_and_label", "the not-to-recommend labels of its configuration"),
        ("dislike_input_and_label_paper_tower", "the not-to-recommend labels of its configuration"),
        ("skip_label", "the not-to-recommend labels of its configuration"),
        ("negative_weight", "with a weight below zero"),
        ("reinforce", "REINFORCE"),
        ("softmax_negatives", "counts more often among the negatives; there is no term of its own for a no."),
        ("label_and_softmax_negatives", "counts more often among the negatives, and its not-to-recommend labels"),
        ("contrastive", "that all the same user’s noes join"),
        ("separate_histories", "which an encoder apart reads in training"),
    ],
)
def test_the_card_says_what_the_served_model_learns_from(tmp_path: Path, signals: str, said: str) -> None:
    config = pipeline.get_config("tiny")
    config.serve, config.experiments = signals, {}
    if signals not in (*config.plain, *config.sweeps):
        config.sweeps[signals] = {"weights": (1.0,), "reference": "dislike_input"}
    card = page_of(measured(empty_run(tmp_path), config)).split('id="card"')[1]
    (row,) = re.findall(r"<td>Learns from</td><td>(.*?)</td>", card)
    assert said in row
    assert ("equation 1)" in row) == ("not-to-recommend labels" in said)


def test_the_card_speaks_of_the_objective_that_was_trained(workdir: Path) -> None:
    assert {*LEARNS_FROM} == {*OBJECTIVES}
    served = next(v for v in reversed(variants(pipeline.get_config("tiny"))) if v.signals == "dislike_input_and_label")
    write(
        workdir / "train" / served.name / "config.json",
        {"config": {"positive": ["like"], "objective": "softmax_negatives"}},
    )
    assert LEARNS_FROM["softmax_negatives"] in page_of(workdir)


def test_what_the_log_cannot_hold_has_no_share(workdir: Path) -> None:
    random_timelines.write(workdir / "timelines", without=("dislike", "follow"))
    manifest = json.loads((workdir / "timelines" / "manifest.json").read_text())
    write(workdir / "timelines" / "manifest.json", {**manifest, "counts": COUNTS, "feedback": ["click", "dislike"]})
    page = page_of(workdir)
    assert "<td>Dislikes</td><td>0.00%</td>" in page  # there is such a column
    assert "<td>Follows</td><td>not in this log</td>" in page
    assert "<td>Shown at random</td><td>not in this log</td>" in page


def weigh(workdir: Path, *names: str, towers: float) -> None:
    """Has these models' training fitted these weights."""
    for name in names:
        of_parts = {"weight/towers": towers, "weight/covisitation": 26.2, "weight/popularity_7d": 0.0}
        write(workdir / "train" / name / "metrics.json", {"steps": 9, **of_parts})


def test_the_training_table_has_the_weight_of_the_towers_and_of_each_part(workdir: Path) -> None:
    weigh(workdir, "dislike_input", towers=0.567)
    page = page_of(workdir).split('id="training"')[1]
    row = page.split("<tr><td>Dislikes as input, with memory</td>")[1].split("</tr>")[0]
    assert re.findall(r"<td>(.*?)</td>", row)[2:] == ["0.567", "26.2", "0"]
    assert [heading in page for heading in ("<th>Towers</th>", "<th>Co-visitation</th>", "<th>Categories</th>")] == [
        True,
        True,
        False,
    ]


def test_a_served_model_without_weight_on_its_towers_is_credited_with_counting_alone(workdir: Path) -> None:
    before = page_of(workdir)
    assert "only count" not in before
    assert "a gated recurrent unit over a user’s recent events" in before.split('id="card"')[1]
    both = ("dislike_input", "dislike_input_and_label")
    of_both = [variant.name for variant in variants(pipeline.get_config("tiny")) if variant.signals in both]
    weigh(workdir, *of_both, towers=0.0)
    models = Models(Run(workdir))
    said = headline(models)
    assert said[0].startswith("With the model whose towers have no weight, which only counts, one “not interested”")
    assert said[1].startswith("The validation days gave the towers no weight: what is served only counts, and nothing")
    for of_learning in ("learns from dislikes", "only an input", "The price"):
        assert of_learning not in " ".join(said)
    captions = " ".join(card.caption for card in cards(models))
    assert "with what is counted alone" in captions
    assert "Recall@100 kept" not in captions
    assert not any(row.emphasis for row in tables.retrieval(models) if "input and label, with memory" in row.label)
    page = page_of(workdir)
    assert "input and label, with memory, weight 100 (only counts)</td>" in page
    assert "so no weight of the negative labels has an effect" in page.split('id="frontier"')[1]
    card = page.split('id="card"')[1]
    assert "<td>The validation days gave the towers no weight: what is served only counts." in card
    assert "gated recurrent unit" not in card
    assert "<td>Dislikes as input and label, with memory</td>" in card


def test_a_response_that_may_be_none_is_not_called_a_change(workdir: Path) -> None:
    for folder in (workdir / "counterfactual").iterdir():
        write(folder / "metrics.json", with_interval("long_watch+dislike/content", 0.01, 0.02))
    said = headline(Models(Run(workdir)))[0]
    assert "one “not interested” after a long watch is not seen to change what comes next: the share" in said
    assert "does not change measurably (95% interval −1.0% to +3.0%)" in said


def test_why_nothing_is_said_of_a_no_is_what_the_plan_has_found(workdir: Path) -> None:
    config = pipeline.get_config("tiny")
    config.counterfactual = ""
    write(workdir / "pipeline.json", config.to_dict())
    why = "the log knows neither creators nor clusters of its items"
    write(workdir / "left_out.json", [{"what": "responsiveness to a no", "why": why, "remedy": "creator_id"}])
    assert f"cannot say whether the recommender takes a no, as {why}: it says" in headline(Models(Run(workdir)))[0]


def test_names_of_columns_are_code_in_what_the_log_lacks_and_nothing_else_is_markup(workdir: Path) -> None:
    lost = {"what": "the closer look", "why": "no `<b>` is there", "remedy": "`play_ms` < 3"}
    write(workdir / "left_out.json", [lost])
    page = page_of(workdir)
    assert "<td>no <code>&lt;b&gt;</code> is there</td><td><code>play_ms</code> &lt; 3</td>" in page


@pytest.mark.parametrize(
    ("least", "labels"),
    [(-0.5, ["−40%", "−20%", "0%"]), (-0.006, ["−0.6%", "−0.4%", "−0.2%", "0%"]), (1.2, ["100%", "105%"])],
)
def test_ticks_of_shares_are_told_apart(least: float, labels: list[str]) -> None:
    def paint(figure, narrow):
        (axes,) = side_by_side(figure, 1, narrow)
        axes.barh([0], [least])
        axes.set_xlim(*((0.98, least) if least > 0 else (least, 0)))
        percent(axes.xaxis)

    shown = re.findall(r">(−?[\d.]+%)<", draw(paint, title="", height=5, phone_height=5))
    assert set(labels) <= set(shown)
    assert len(set(shown)) * 2 >= len(shown)  # each drawing has a label once


def test_no_two_drawings_share_an_id(workdir: Path) -> None:
    ids = re.findall(r'<clipPath id="([^"]+)"', page_of(workdir))
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("stage", ["counterfactual", "test", "train", "prepare", "serve"])
def test_a_run_without_results_says_which_stage_is_missing(stage: str, empty: Path) -> None:
    page = page_of(empty)
    assert f"the stage <code>{stage}</code> has left no numbers" in page
    assert "cannot say how the models respond" in page


def test_metrics_hold_every_stages_numbers_under_flat_names(workdir: Path) -> None:
    numbers = numbers_of(workdir)
    assert numbers["test/dislike_input/recall@100"] == 0.4
    assert numbers["counterfactual/dislike_input_and_label-w100/long_watch+dislike/content"] == -0.55
    assert numbers["selected/dislike_input_and_label/negative_weight"] == 100.0


def test_curves_keep_the_later_of_two_lines_and_survive_a_cut_one(workdir: Path) -> None:
    assert Models(Run(workdir)).all[0].curves == {"train_loss": [(0, 9.0), (1, 8.0), (2, 7.0)]}


@pytest.mark.parametrize(
    ("point", "words"),
    [
        (Point(-0.3, -0.4, -0.2), "falls by 30.0% (95% interval 20.0% to 40.0%)"),
        (Point(0.3, 0.2, 0.4), "rises by 30.0% (95% interval 20.0% to 40.0%)"),
        (Point(-0.1, -0.3, 0.1), "does not change measurably (95% interval −30.0% to +10.0%)"),
        (Point(0.0, 0.0, 0.0), "stays as it is"),
    ],
)
def test_words_follow_the_interval(point: Point, words: str) -> None:
    assert in_words(point) == words


def test_a_pipeline_is_not_blamed_for_systems_that_it_does_not_have(tmp_path: Path) -> None:
    write(tmp_path / "pipeline.json", pipeline.get_config("demo").to_dict())
    page = page_of(tmp_path)
    for section in ("ranking", "satisfaction", "ab"):
        assert f'id="{section}"' not in page
        assert f'href="#{section}"' not in page


@pytest.mark.skipif(browser.CHROMIUM is None, reason="needs Chromium")
def test_the_page_fits_phones_tablets_and_laptops(workdir: Path, tmp_path: Path) -> None:
    assert browser.faults(page_of(workdir), tmp_path) == {width: [] for width in browser.WIDTHS}


def test_a_log_without_dislikes_is_reported_by_skips(tmp_path: Path) -> None:
    log = log_of(positive="long_view", tasks=("EVV",), long_view=3_000, skip=2_000)
    config, left_out = fitted(pipeline.get_config("tables"), log)
    config.ranking = ""
    write(tmp_path / "pipeline.json", config.to_dict())
    write(tmp_path / "left_out.json", [dataclasses.asdict(lost) for lost in left_out])
    simulated = {"users": 50, "k": 8, "slate_size": 10, "baseline": "long_watch", "branches": ["skip", "quit_early"]}
    for variant in variants(config):
        folder = tmp_path / "counterfactual" / variant.name
        write(folder / "metrics.json", with_interval("skip/vectors", -0.3 if "skip" in variant.signals else -0.1, 0.02))
        write(folder / "config.json", {"config": simulated})
        example = {"user": 0, "history": [], "item": {"item_id": 7}, "shares": {"long_watch": {}, "skip": {}}}
        slates = {branch: [{"item_id": 9, "place_before": 1}] for branch in ("long_watch", "skip")}
        write(folder / "examples.json", [{**example, "slates": slates}])
    write(tmp_path / "selected" / "metrics.json", {"skip_label_alone/negative_weight": 50.0})
    said = headline(Models(Run(tmp_path)))
    assert said[0].startswith(
        "With the model that learns from skips, a skip in place of a long watch changes what comes"
    )
    assert "falls by 30.0% (95% interval 28.0% to 32.0%)" in said[0]
    assert "For one that learns from positives alone, the same figure falls by 10.0%" in said[1]
    page = page_of(tmp_path)
    assert "Change in similar items after a skip, by model" in page
    for of_dislikes in (
        "after a dislike",
        "“not interested” after",
        "with memory",
        "Blind to dislikes",
        "paper’s tower",
    ):
        assert of_dislikes not in page
    assert "a column <code>dislike</code> in events" in page


def test_a_log_without_play_times_is_reported_without_watches(workdir: Path) -> None:
    for folder in (workdir / "counterfactual").iterdir():
        for file in folder.iterdir():
            file.write_text(file.read_text().replace("long_watch", "met"))
    said = headline(Models(Run(workdir)))
    assert said[0].startswith(
        "With the model that learns from dislikes and remembers them, one “not interested” changes"
    )
    assert "blind to them, it stays as it is" in said[1]
    page = page_of(workdir)
    assert "−60.8%" in page  # the paper's, of the same configurations
    assert "the item is met, once without and once with a dislike" in page
    assert "Change against the same item, met and nothing said of it." in page
    assert "<th>met and disliked<br>content</th>" in page
    assert "…and said “not interested”: 1 of 10 alike" in page
    for section in ("responsiveness", "slates"):
        text = page.split(f'id="{section}"')[1].split("</section>")[0]
        assert "watch" not in re.sub(r"<svg.*?</svg>", "", text, flags=re.S)


def test_names_of_models_leave_room_for_their_bars_on_a_phone():
    names = [title.replace(", ", ",\n", 1) for title in TITLES.values()]

    def paint(figure, narrow):
        (axes,) = side_by_side(figure, 1, narrow)
        axes.barh(range(len(names)), -0.5)
        axes.set_yticks(range(len(names)), names)
        axes.annotate("paper −22.7%", (1, 0), (7, 0), xycoords=axes.get_yaxis_transform(), textcoords="offset points")

    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of matplotlib, where nothing is left for the bars
        assert "<svg" in draw(paint, title="", height=5, phone_height=5)
