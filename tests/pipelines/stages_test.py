"""The graph of stages as data, and the source files that a stage is made of."""

from pathlib import Path

import pytest

from configs import pipeline, retrieval
from pipelines.retrieval_stages import variants
from pipelines.sources import imported_files
from pipelines.stage import PIPELINE
from pipelines.stages import TEMPLATES, stages

NAMES = ("demo", "demo_sticky", "standard", "kuairand_pure", "kuairand_pure_short", "tables", "tiny")


def _graph(name: str, tmp_path: Path):
    config = pipeline.get_config(name)
    data = tmp_path / "logs"
    data.mkdir()
    (data / "events.parquet").touch()
    return config, stages(config, data="" if config.world else str(data), workdir=tmp_path / "run")


@pytest.mark.parametrize("name", NAMES)
def test_every_input_is_there_or_written_by_an_earlier_stage(name: str, tmp_path: Path) -> None:
    config, graph = _graph(name, tmp_path)
    run = tmp_path / "run"
    links = set()  # select makes them
    for signals in config.sweeps:
        links |= {
            run / "selected" / signals / "metrics.json",
            run / "selected" / f"{signals}-export" / "recommender" / "manifest.json",
        }
    known = {run / PIPELINE, *TEMPLATES, tmp_path / "logs" / "events.parquet"}
    for stage in graph:
        assert set(stage.inputs) <= known, stage.name
        assert stage.outputs
        known |= set(stage.outputs) | (links if stage.name == "select" else set())


@pytest.mark.parametrize("name", NAMES)
def test_names_and_outputs_are_nobody_elses(name: str, tmp_path: Path) -> None:
    _, graph = _graph(name, tmp_path)
    names, outputs = [s.name for s in graph], [file for s in graph for file in s.outputs]
    assert len(set(names)) == len(names)
    assert len(set(outputs)) == len(outputs)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_sweep_is_held_up_against_is_trained(name: str) -> None:
    config = pipeline.get_config(name)
    trained = {variant.name for variant in variants(config)}
    assert {sweep.reference for sweep in config.sweeps.values()} <= trained
    assert config.serve in config.sweeps


def test_weights_go_from_light_to_heavy_and_into_the_command(tmp_path: Path) -> None:
    config, graph = _graph("tiny", tmp_path)
    train = next(s for s in graph if s.name == "train/dislike_input_and_label-w100")
    assert train.config == "configs/retrieval.py:tiny,dislike_input_and_label"
    assert "--config.negative_weight=100" in train.flags
    config.sweeps.dislike_input_and_label.weights = (50.0, 2.5)
    config.final = False
    swept = [v.name for v in variants(config) if v.signals == "dislike_input_and_label"]
    assert swept == ["dislike_input_and_label-w2.5", "dislike_input_and_label-w50"]


@pytest.mark.parametrize("name", NAMES)
def test_what_learns_from_dislikes_is_trained_on_the_papers_own_tower_too(name: str) -> None:
    config = pipeline.get_config(name)
    signals = {variant.signals for variant in variants(config)}
    for namesake in signals & {"dislike_input", "dislike_input_and_label"}:
        assert f"{namesake}_paper_tower" in signals
        ours, paper = (
            retrieval.get_config(f"{config.retrieval},{n}").to_dict() for n in (namesake, f"{namesake}_paper_tower")
        )
        assert {key for key in ours if ours[key] != paper[key]} == {"memory_feedback"}
        assert paper["memory_feedback"] == ()
    # A sweep is held up against the model without negative labels of its own tower.
    for signals, sweep in config.sweeps.items():
        assert sweep.reference.endswith("_paper_tower") == signals.endswith("_paper_tower")


def test_final_models_repeat_what_was_chosen_and_are_served(tmp_path: Path) -> None:
    config, graph = _graph("tiny", tmp_path)
    stages_of, run = {stage.name: stage for stage in graph}, tmp_path / "run"
    final = stages_of["train/dislike_input_and_label-final"]
    assert f"--refit={run / 'selected' / 'dislike_input_and_label'}" in final.flags
    assert run / "selected" / "dislike_input_and_label" / "metrics.json" in final.inputs
    assert f"--refit={run / 'train' / 'dislike_input'}" in stages_of["train/dislike_input-final"].flags
    assert f"--checkpoint={final.folder}" in stages_of["serve"].flags
    assert "validate/dislike_input-final" not in stages_of  # it has learned from these days
    config.final = False
    assert not any("final" in stage.name for stage in stages(config, data="", workdir=run))


def test_the_gate_comes_before_what_is_served_and_after_all_that_it_does_not_stop(tmp_path: Path) -> None:
    config, graph = _graph("standard", tmp_path)
    names, run = [stage.name for stage in graph], tmp_path / "run"
    gate, serve = graph[names.index("gate")], graph[names.index("serve")]
    weights = ("w300", "w1000", "w3000")
    for weight in weights:
        assert run / "counterfactual" / f"dislike_input_and_label-{weight}" / "metrics.json" in gate.inputs
    assert run / "test" / "dislike_input" / "metrics.json" in gate.inputs
    assert f"--verdict={run / 'gate' / 'verdict.json'}" in serve.flags
    assert run / "gate" / "verdict.json" in serve.inputs
    independent = ("train/", "test/", "counterfactual/", "ranking/", "satisfaction/")
    assert not any(name.startswith(independent) for name in names[names.index("gate") :])
    config.gate = {}
    graph = stages(config, data="", workdir=run)
    assert "gate" not in [stage.name for stage in graph]
    assert not any("verdict" in flag for stage in graph for flag in stage.flags)


def test_the_closer_look_is_at_the_served_model_with_the_reference_as_the_judge(tmp_path: Path) -> None:
    config, graph = _graph("standard", tmp_path)
    stages_of, run = {stage.name: stage for stage in graph}, tmp_path / "run"
    ranked = stages_of["responsiveness/ranked/served"]
    served = run / "selected" / "dislike_input_and_label-export" / "recommender"
    reference = run / "export" / "dislike_input" / "recommender"
    assert ranked.flags[:2] == (f"--recommender={served}", f"--similarity_vectors={reference}")
    assert f"--ranker={run / 'ranking' / 'export' / 'ranker'}" in ranked.flags
    assert ranked.config == "configs/counterfactual.py:standard,paper"
    memory = stages_of["responsiveness/memory/reference"]
    assert memory.flags == (f"--recommender={reference}",)
    assert memory.config == "configs/counterfactual.py:standard,memory"
    config.ranking = ""
    names = [stage.name for stage in stages(config, data="", workdir=run)]
    assert "responsiveness/ranked/served" not in names
    assert "responsiveness/sweeps/served" in names


def test_logs_that_may_lack_clusters_and_creators_are_judged_by_another_models_vectors_too(tmp_path: Path) -> None:
    _, graph = _graph("tables", tmp_path)
    exports, judges = tmp_path / "run" / "export", {}
    for stage in graph:
        if stage.name.startswith("counterfactual/"):
            (flag,) = [flag for flag in stage.flags if flag.startswith("--similarity_vectors=")]
            judges[stage.folder.name] = flag.partition("=")[2]
    assert judges["no_dislike_signal"] == str(exports / "dislike_input" / "recommender")
    assert judges["skip_label-w25"] == str(exports / "no_dislike_signal" / "recommender")
    assert judges["skip_label-final"] == str(exports / "no_dislike_signal-final" / "recommender")


def test_an_unknown_pipeline_lists_those_there_are() -> None:
    with pytest.raises(ValueError, match="no pipeline 'nope'; there are demo, "):
        pipeline.get_config("nope")


def test_a_module_is_made_of_its_imports_and_theirs(tmp_path: Path) -> None:
    files = {
        "a/__init__.py": "",
        "a/binary.py": "import numpy\ndef main():\n    from b.deep import thing\n",
        "a/other.py": "",
        "b/__init__.py": "",
        "b/deep.py": "from b import leaf\nimport a.binary\n",  # a circle ends
        "b/leaf.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    assert imported_files("a.binary", tmp_path) == [name for name in files if name != "a/other.py"]


def test_editing_the_report_trains_no_model() -> None:
    assert "pipelines/report.py" in imported_files("pipelines.report")
    assert "pipelines/report.py" not in imported_files("retrieval.train")
