"""The benchmarks that `make bench` runs, in order: another one is another line.

In flags `{data}` stands for a folder of timelines, `{config}` for the name of its log in configs/, `{workdir}` for a
folder to write in.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """One command of the page.

    Attributes:
      name: of its section.
      module: run as `python -m MODULE`, with `flags`, or `quick` ones where it has to be over in seconds.
      minutes: after which it is ended, quick or not: twice what it takes on two cores, or more.
      cores: how many it may use; 0 for all that there are.
    """

    name: str
    module: str
    flags: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()
    minutes: float = 3.0
    cores: int = 0


_TRAINING = ("--data={data}", "--config=configs/retrieval.py:{config},dislike_input_and_label")
# Without what the paper's loss and PyTorch's do not have.
_PAPER = (
    "--data={data}",
    "--config=configs/retrieval.py:{config},dislike_input_and_label_paper_tower",
    "--config.among_unmet=False",
)
# The PyTorch ranker attends to all events that it reads.
_RANKING = (
    "--data={data}",
    "--config=configs/ranking.py:{config}",
    "--config.length=32",
    "--config.encoder_length=32",
)
_TURNS, _FEW_TURNS = ("--steps=10", "--repeats=7"), ("--steps=2", "--repeats=2")

SUITE = (
    *(
        Benchmark(
            f"training_speed: {tower}, {where}",
            "benchmarks.training_speed",
            (*model, *_TURNS),
            (*model, *_FEW_TURNS),
            cores=cores,
        )
        for tower, model in (("the paper's tower", _PAPER), ("with memory", _TRAINING))
        for where, cores in (("one core", 1), ("all cores", 0))
    ),
    Benchmark(
        "exact_softmax",
        "benchmarks.softmax_memory",
        ("--repeats=3", "--most_gib=8"),
        ("--items=10000", "--rows=64", "--repeats=1"),
        minutes=6,
    ),
    Benchmark(
        "large_corpus",
        "benchmarks.large_corpus",
        ("--repeats=3",),
        ("--items=10000", "--steps=1", "--repeats=1"),
        minutes=5,
    ),
    Benchmark(
        "preparation",
        "benchmarks.preparation_speed",
        ("--workdir={workdir}", "--events=1000000", "--events=3000000", "--events=10000000"),
        ("--workdir={workdir}", "--events=10000", "--events=20000"),
        minutes=4,
    ),
    Benchmark(
        "input_pipeline",
        "benchmarks.input_pipeline",
        _TRAINING,
        (*_TRAINING, "--batches=5", "--steps=1", "--repeats=1"),
    ),
    Benchmark(
        "ann",
        "benchmarks.ann",
        ("--items=100000", "--items=1000000", "--repeats=3"),
        ("--items=20000", "--queries=50", "--repeats=1"),
        minutes=10,
    ),
    Benchmark(
        "simulation_speed",
        "benchmarks.counterfactual_speed",
        ("--items=10000", "--items=100000", "--repeats=2"),
        ("--items=1000", "--users=100", "--k=5", "--repeats=1"),
        minutes=4,
    ),
    Benchmark(
        "scaling",
        "benchmarks.scaling",
        (*_PAPER, "--steps=5", "--repeats=3"),
        (*_PAPER, "--devices=1", "--devices=2", "--axes=data", "--steps=1", "--repeats=1"),
        minutes=6,
    ),
    Benchmark(
        "startup",
        "benchmarks.startup",
        ("--data={data}", "--dataset={config}"),
        ("--data={data}", "--dataset={config}", "--trainings=retrieval", "--noevery_help"),
        minutes=4,
    ),
    Benchmark(
        "evaluation",
        "benchmarks.evaluation_speed",
        ("--items=10000", "--items=100000", "--items=1000000", "--users=500", "--turn=32"),
        ("--items=2000", "--users=50", "--log_users=500", "--turn=8", "--repeats=1"),
        minutes=3,
    ),
    Benchmark("ranking_speed", "benchmarks.ranking_speed", (*_RANKING, *_TURNS), (*_RANKING, *_FEW_TURNS)),
)
