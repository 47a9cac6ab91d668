"""The graph of stages as data, and the source files that a stage is made of."""

import shutil
from pathlib import Path

import pytest

from configs import pipeline, retrieval
from pipelines.graph.engine import Engine
from pipelines.graph.recipe import difference, recipes
from pipelines.graph.records import record_of
from pipelines.graph.sources import ROOT, trace
from pipelines.graph.stage import Stage
from pipelines.registry import stages
from pipelines.systems.left_out import FILE as LEFT_OUT
from pipelines.systems.retrieval.stages import variants

NAMES = (
    *("demo", "demo_sticky", "standard", "kuairand_pure", "kuairand_pure_short"),
    *("tables", "tables_full", "tables_short", "tiny", "tiny_short", "demo_latent", "standard_latent_rare"),
    "movielens_100k",
)


def _graph(name: str, tmp_path: Path):
    config = pipeline.get_config(name)
    data = tmp_path / "logs"
    data.mkdir(parents=True)
    kuairand = ("video_features_basic_pure.csv", "user_features_pure.csv", "log_standard_1_pure.csv")
    for file in ("events.parquet", *kuairand, "u.data", "u.item", "u.user"):
        (data / file).touch()
    return config, stages(config, data=None if config.world else data)


def _words(stage: Stage) -> list[str]:
    return stage.command(str)


@pytest.mark.parametrize("name", NAMES)
def test_every_input_is_written_by_an_earlier_stage(name: str, tmp_path: Path) -> None:
    _, graph = _graph(name, tmp_path)
    before: list[Stage] = []
    for stage in graph:
        records = {record_of(other.name) for other in before}
        for file in set(stage.inputs) - records - {LEFT_OUT}:
            assert any(other.makes(file) for other in before), f"{stage.name}: {file}"
        assert stage.outputs
        before.append(stage)


def test_the_users_files_are_inputs_by_their_own_names(tmp_path: Path) -> None:
    _, graph = _graph("tables", tmp_path)
    assert graph[0].outside == {"events.parquet": tmp_path / "logs" / "events.parquet"}
    assert f"--data={tmp_path / 'logs'}" in _words(graph[0])


def test_what_lies_beside_the_log_is_no_input(tmp_path: Path) -> None:
    (tmp_path / "events.parquet").touch()
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "report.html").touch()  # such as the pipeline's own, its --workdir being in the log's folder
    graph = stages(pipeline.get_config("tables"), data=tmp_path)
    assert list(graph[0].outside) == ["events.parquet"]


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
    for signals, sweep in config.sweeps.items():
        assert sweep.reference in trained or signals.endswith("_without_counts")
        assert sweep.reference.endswith("paper_tower") == signals.endswith("paper_tower")
    assert config.serve in config.sweeps


def test_weights_go_from_light_to_heavy_and_into_the_command(tmp_path: Path) -> None:
    config, graph = _graph("tiny", tmp_path)
    train = next(s for s in graph if s.name == "train/dislike_input_and_label-w100")
    assert train.config == "configs/retrieval.py:tiny,dislike_input_and_label"
    assert "--config.negative_weight=100" in _words(train)
    config.sweeps.dislike_input_and_label.weights = (50.0, 2.5)
    config.final = False
    swept = [v.name for v in variants(config) if v.signals == "dislike_input_and_label"]
    assert swept == ["dislike_input_and_label-w2.5", "dislike_input_and_label-w50"]


@pytest.mark.parametrize("name", NAMES)
def test_what_learns_from_dislikes_is_trained_on_the_papers_own_tower_too(name: str) -> None:
    config = pipeline.get_config(name)
    signals = {variant.signals for variant in variants(config)}
    with_tower = config.plain[-1].endswith("_paper_tower")
    assert with_tower == (name not in ("tables", "tables_short"))  # one's own logs: only in NAME_full
    for namesake in signals & {"dislike_input", "dislike_input_and_label"} if with_tower else ():
        assert f"{namesake}_paper_tower" in signals
        ours, paper = (
            retrieval.get_config(f"{config.retrieval},{n}").to_dict() for n in (namesake, f"{namesake}_paper_tower")
        )
        assert {key for key in ours if ours[key] != paper[key]} == {"memory_feedback", "counted", "trend_days"}
        assert (paper["memory_feedback"], paper["counted"], paper["trend_days"]) == ((), (), ())
    # A sweep is held up against the model without negative labels of its own tower.
    for signals, sweep in config.sweeps.items():
        assert sweep.reference.endswith("_paper_tower") == signals.endswith("_paper_tower")


def test_final_models_repeat_what_was_chosen_and_are_served(tmp_path: Path) -> None:
    config, graph = _graph("tiny", tmp_path)
    stages_of = {stage.name: stage for stage in graph}
    final = stages_of["train/dislike_input_and_label-final"]
    assert "--refit=selected/dislike_input_and_label" in _words(final)
    assert Path("selected/dislike_input_and_label/metrics.json") in final.inputs
    assert "--refit=train/dislike_input" in _words(stages_of["train/dislike_input-final"])
    assert f"--checkpoint={final.folder}" in _words(stages_of["serve"])
    assert "validate/dislike_input-final" not in stages_of  # it has learned from these days
    config.final = False
    assert not any("final" in stage.name for stage in stages(config, data=None))


def test_the_gate_comes_before_what_is_served_and_after_all_that_it_does_not_stop(tmp_path: Path) -> None:
    config, graph = _graph("standard", tmp_path)
    names = [stage.name for stage in graph]
    gate, serve = graph[names.index("gate")], graph[names.index("serve")]
    weights = ("w300", "w1000", "w3000")
    for weight in weights:
        assert Path(f"counterfactual/dislike_input_and_label-{weight}/metrics.json") in gate.inputs
    assert Path("test/dislike_input/metrics.json") in gate.inputs
    assert "--verdict=gate/verdict.json" in _words(serve)
    assert Path("gate/verdict.json") in serve.inputs
    independent = ("train/", "test/", "counterfactual/", "ranking/", "satisfaction/")
    assert not any(name.startswith(independent) for name in names[names.index("gate") :])
    config.gate = {}
    graph = stages(config, data=None)
    assert "gate" not in [stage.name for stage in graph]
    assert not any("verdict" in word for stage in graph for word in _words(stage))


def test_the_closer_look_is_at_the_served_model_with_the_reference_as_the_judge(tmp_path: Path) -> None:
    config, graph = _graph("standard", tmp_path)
    stages_of = {stage.name: stage for stage in graph}
    ranked = stages_of["responsiveness/ranked/served"]
    assert "--recommender=selected/dislike_input_and_label-export/recommender" in _words(ranked)
    assert "--similarity_vectors=export/dislike_input/recommender" in _words(ranked)
    assert "--ranker=ranking/export/ranker" in _words(ranked)
    assert ranked.config == "configs/counterfactual.py:standard,paper"
    memory = stages_of["responsiveness/memory/reference"]
    assert dict(memory.flags) == {"recommender": Path("export/dislike_input/recommender")}
    assert memory.config == "configs/counterfactual.py:standard,memory"
    config.ranking = ""
    config.experiments.replayed = ("served", "paper_tower")
    stages_of = {stage.name: stage for stage in stages(config, data=None)}
    names = [*stages_of]
    assert "responsiveness/ranked/served" not in names
    assert "responsiveness/replayed/paper_tower" in names
    assert "--data=timelines" in _words(stages_of["responsiveness/replayed/served"])
    assert "responsiveness/sweeps/served" in names


def test_logs_that_may_lack_clusters_and_creators_are_judged_by_another_models_vectors_too(tmp_path: Path) -> None:
    _, graph = _graph("tables", tmp_path)
    judges = {s.folder.name: s.flags["similarity_vectors"] for s in graph if s.name.startswith("counterfactual/")}
    assert judges["dislike_input_and_label-w300"] == Path("export/dislike_input/recommender")
    assert judges["dislike_input_and_label-final"] == Path("export/dislike_input-final/recommender")
    assert judges["dislike_input"] == Path("export/dislike_input_and_label-w300/recommender")  # there is no other plain
    _, graph = _graph("tables_full", tmp_path / "full")
    judges = {s.folder.name: s.flags["similarity_vectors"] for s in graph if s.name.startswith("counterfactual/")}
    assert judges["no_dislike_signal"] == Path("export/dislike_input/recommender")
    assert judges["skip_label-final"] == Path("export/no_dislike_signal-final/recommender")


@pytest.mark.parametrize(("name", "knows"), [("demo", True), ("demo_latent", True), ("tables", False)])
def test_a_feed_says_what_could_be_found_and_a_log_does_not(tmp_path: Path, name: str, knows: bool) -> None:
    modules = [stage.module for stage in _graph(name, tmp_path)[1]]
    assert modules.count("pipelines.retrieval_ceiling") == knows


def test_a_command_line_is_as_a_user_would_type_it() -> None:
    flags = {
        "number": 0.5,
        "many": 1e9,
        "exact": 0.1234567891,
        "none": None,
        "none_of_them": (),
        "config.counted": (),  # otherwise a setting that is to be nothing keeps the config's value
        "refit": True,
        "baselines": False,
        "list": ("a", "b"),
        "arms": {"a": Path("x"), "b": Path("y")},
        "compare": (("a", Path("x")), ("a", Path("/y"))),
    }
    stage = Stage(name="train/a", module="retrieval.train", config="configs/a.py:b", flags=flags)
    assert stage.command(lambda path: Path("runs/demo") / path) == [
        *("-m", "retrieval.train", "--config=configs/a.py:b", "--number=0.5", "--many=1e+09", "--exact=0.1234567891"),
        *("--none_of_them=", "--config.counted=()", "--refit", "--nobaselines", "--list=a,b"),
        *("--arms=a=runs/demo/x,b=runs/demo/y", "--compare=a=runs/demo/x,a=/y", "--workdir=runs/demo/train/a"),
    ]


@pytest.mark.parametrize("name", NAMES)
def test_every_stage_has_a_recipe(name: str, tmp_path: Path) -> None:
    _, graph = _graph(name, tmp_path)
    assert {reason for _, reason in Engine(graph, workdir=tmp_path / "run").plan()} <= {
        "new",
        *(f"after {stage.name}" for stage in graph),
    }


@pytest.mark.parametrize("name", ["tables", "demo", "standard", "kuairand_pure", "movielens_100k"])
def test_everything_is_what_a_pipeline_has_and_more_and_serves_the_same(name: str) -> None:
    usual, full = (pipeline.get_config(name + ending) for ending in ("", "_full"))
    assert full.serve == usual.serve
    assert {*full.plain} >= {*usual.plain}
    assert {*full.ranking_variants} >= {*usual.ranking_variants}
    for signals, sweep in usual.sweeps.items():
        assert {*full.sweeps[signals].weights} >= {*sweep.weights}
    assert sum(len(sweep.weights) for sweep in full.sweeps.values()) > sum(
        len(sweep.weights) for sweep in usual.sweeps.values()
    )


def test_an_unknown_pipeline_lists_those_there_are() -> None:
    with pytest.raises(ValueError, match="no pipeline 'nope'; there are demo, "):
        pipeline.get_config("nope")


def test_a_module_is_made_of_its_imports_and_theirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {
        "a/__init__.py": "",
        "a/binary.py": "import numpy.linalg\ndef main():\n    from b.deep import thing\n",
        "a/other.py": "",
        "b/__init__.py": "",
        "b/deep.py": "from b import leaf\nimport a.binary\n",  # a circle ends
        "b/leaf.py": "",
        "c/__init__.py": "import os\n",
        "c/__main__.py": "from b.leaf import thing\n",
        "d/__init__.py": "import pkgutil\nfound = pkgutil.iter_modules(__path__)\n",
        "d/one.py": "import os\n",
        "d/two/__init__.py": "",
        "d/two/below.py": "import b.leaf\n",
        "d/two/three/deep.py": "import csv\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr("pipelines.graph.sources.ROOT", tmp_path)
    assert trace("a.binary") == (["a/__init__.py", "a/binary.py", "b/__init__.py", "b/deep.py", "b/leaf.py"], {"numpy"})
    assert trace("c") == (["b/__init__.py", "b/leaf.py", "c/__init__.py", "c/__main__.py"], {"os"})
    below = ["d/one.py", "d/two/__init__.py", "d/two/below.py", "d/two/three/deep.py"]
    assert trace("d") == (["b/__init__.py", "b/leaf.py", "d/__init__.py", *below], {"csv", "os", "pkgutil"})


def test_every_reader_and_what_it_is_made_of_is_code_of_prepare() -> None:
    files, packages = trace("data.prepare")
    readers = {path.relative_to(ROOT).as_posix() for path in (ROOT / "data/readers").rglob("*.py")}
    assert "data/readers/canonical/layout.py" in readers
    assert readers <= set(files)
    assert {"data/raw/schema/yaml_file.py", "data/raw/times.py"} <= set(files)  # which the layouts alone import
    assert "yaml" in packages


def test_an_edited_layout_prepares_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("data", "runtime"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr("pipelines.graph.sources.ROOT", tmp_path)
    prepare = Stage(name="prepare", module="data.prepare")
    before = recipes([prepare])["prepare"]
    layout = "data/readers/canonical/layout.py"
    (tmp_path / layout).write_text((tmp_path / layout).read_text() + "\nx = 1\n")
    assert difference(before, recipes([prepare])["prepare"]) == [f"code {layout}"]


def test_every_program_of_the_house_is_found_with_its_entry() -> None:
    for module in {stage.module for stage in stages(pipeline.get_config("tiny"), data=None)}:
        files, packages = trace(module)
        path = module.replace(".", "/")
        assert {f"{path}.py", f"{path}/__main__.py"} & set(files)
        assert "absl" in packages


def test_editing_the_report_trains_no_model() -> None:
    assert any(name.startswith("pipelines/report") for name in trace("pipelines.report")[0])
    assert not any(name.startswith("pipelines/") for name in trace("retrieval.train")[0])
    assert (ROOT / "pipelines").is_dir()
