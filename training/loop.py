"""The training loop: one visible `for` that resumes, logs, evaluates, saves and stops."""

import dataclasses
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, Self

import jax
import numpy as np

from runtime.errors import DataError
from runtime.progress import progress
from training.distributed.hosts import of_first
from training.distributed.watch import sign_of_life
from training.histogram import LogHistogram
from training.meter import Meter, NonFiniteError, Throughput
from training.metric_log import MetricLog
from training.saving.checkpoints import Checkpoints
from training.step import TrainState, TrainStep
from training.termination import EXIT_STATUS, Termination


class DivergedError(DataError):
    """A loss or gradient was not finite: `step` is the first one, `metrics` the percentiles of `grad_norm` before."""

    def __init__(self, message: str, *, step: int, metrics: Mapping[str, float]) -> None:
        super().__init__(message)
        self.step = step
        self.metrics = dict(metrics)


class Batches(Protocol):
    """An iterator of batches {name: [B, ...]} of `shard_batch`, whose position is a JSON value, as Grain's is."""

    def __next__(self) -> Mapping[str, jax.Array]: ...
    def get_state(self) -> Any: ...
    def set_state(self, state: Any) -> None: ...


@dataclasses.dataclass(frozen=True)
class Validation:
    """What is measured while training, and what follows from it.

    Attributes:
      measure: params -> metrics, after every `every` steps and after the last one.
      best: the metric of which each new best step is saved and kept.
      higher_is_better: of that metric; where it is a loss, False.
      patience: the measurements without a new best after which training ends; never without it.
    """

    measure: Callable[[Any], Mapping[str, float]]
    every: int
    best: str | None = None
    higher_is_better: bool = True
    patience: int | None = None

    def score(self, metrics: Mapping[str, float]) -> float | None:
        """What is highest at the best step; None where no step is better than another."""
        return None if self.best is None else metrics[self.best] * (1 if self.higher_is_better else -1)


@dataclasses.dataclass
class Progress:
    """What a checkpoint remembers of a run besides its state and input position; JSON values."""

    train_loss: float | None = None
    valid: dict[str, float] = dataclasses.field(default_factory=dict)  # of `best_step`
    best_step: int = 0
    best_score: float | None = None
    evaluations_since_best: int = 0
    throughput: Throughput = dataclasses.field(default_factory=Throughput)
    grad_norms: LogHistogram = dataclasses.field(default_factory=LogHistogram)

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Self:
        """The inverse of `dataclasses.asdict`."""
        parts = {"throughput": Throughput(**saved["throughput"]), "grad_norms": LogHistogram(**saved["grad_norms"])}
        return cls(**{**saved, **parts})

    def evaluated(self, step: int, valid: dict[str, float], score: float | None) -> bool:
        """True where `score` is the best so far, which NaN never is. Without scores the newest evaluation counts."""
        better = score is not None and (np.isfinite(score) if self.best_score is None else score > self.best_score)
        if better or score is None:
            self.valid, self.best_step, self.best_score, self.evaluations_since_best = valid, step, score, 0
        else:
            self.evaluations_since_best += 1
        return bool(better)

    def out_of(self, patience: int | None) -> bool:
        """True after `patience` evaluations that were no better than the best."""
        return patience is not None and self.evaluations_since_best >= patience


@dataclasses.dataclass(frozen=True)
class Result:
    """The state after `step`; `metrics` has `steps`, `train_loss`, percentiles of `grad_norm` (before clipping), the
    rates, and `valid/...` of the best step."""

    state: TrainState
    step: int
    best_step: int
    metrics: dict[str, float]


def train(
    state: TrainState,
    train_step: TrainStep,
    batches: Batches,
    *,
    num_steps: int,
    key: jax.Array,
    checkpoints: Checkpoints,
    metric_log: MetricLog,
    save_every: int,
    log_every: int = 50,
    validation: Validation | None = None,
) -> Result:
    """Trains from the newest checkpoint, or from `state`, to `num_steps`; called again it continues where it ended.

    SIGTERM saves, then raises SystemExit(143).
    Errors: DivergedError where a loss or gradient is not finite (it is never saved); DataError where the input ends.
    """
    first, run = 0, Progress()
    if (restored := checkpoints.restore_latest(state)) is not None:
        state, saved, first = restored
        batches.set_state(saved["batches"])
        run = Progress.from_json(saved["run"])
    sign_of_life()
    metric_log.resume(first)
    meter = Meter(run.throughput, run.grad_norms)
    step, patience = first, validation.patience if validation else None
    end = first if run.out_of(patience) else num_steps

    with Termination() as termination, progress(label="train", total=num_steps, unit="step") as bar:
        bar.initial = bar.n = first
        for step in range(first + 1, end + 1):
            batch = _next(batches, step)
            state, metrics = train_step(state, batch, key)
            meter.add(step, metrics, examples=_rows(batch))
            sign_of_life()
            bar.update()

            terminated = termination.asked()
            saves = terminated or step % save_every == 0 or step == num_steps
            evaluates = validation is not None and (step % validation.every == 0 or step == num_steps)
            # The device is waited for at a pause only. The first step is one: it compiles, which is not timed.
            pauses = saves or evaluates or step == first + 1
            if pauses or step % log_every == 0:
                for at, values in _finite(meter.windows(wait=pauses), checkpoints, run):
                    metric_log.write(at, values)
                    run.train_loss = values["train_loss"]
                    bar.set_postfix({k: f"{v:.4g}" for k, v in values.items() if "/" not in k}, refresh=False)
            score = None
            if evaluates and validation is not None:
                measured = of_first(validation.measure(state.params))
                valid = {f"valid/{name}": value for name, value in measured.items()}
                metric_log.write(step, valid)
                score = validation.score(measured)
                improved = run.evaluated(step, valid, score)
                saves = saves or improved or run.out_of(patience)
            if saves:
                position = {"batches": batches.get_state(), "run": dataclasses.asdict(run)}
                checkpoints.save(step, state, position, score=score)
            if pauses:
                meter.start_clock()
                sign_of_life()
            if terminated:
                checkpoints.wait()
                raise SystemExit(EXIT_STATUS)
            if run.out_of(patience):
                break
    checkpoints.wait()
    loss = {} if run.train_loss is None else {"train_loss": run.train_loss}
    norms = run.grad_norms.summary("grad_norm")
    return Result(state, step, run.best_step, {"steps": step, **loss, **norms, **run.throughput.rates(), **run.valid})


def _next(batches: Batches, step: int) -> Mapping[str, jax.Array]:
    try:
        return next(batches)
    except StopIteration:
        raise DataError(f"the training input ended before step {step}; repeat it, or train for fewer steps") from None


def _rows(batch: Mapping[str, jax.Array]) -> int:
    return next(iter(batch.values())).shape[0]


def _finite(
    windows: Iterator[tuple[int, dict[str, float]]], checkpoints: Checkpoints, run: Progress
) -> Iterator[tuple[int, dict[str, float]]]:
    try:
        yield from windows
    except NonFiniteError as error:
        good = checkpoints.latest_step()
        raise DivergedError(
            f"{error}, on batch {error.step - 1} of the input (counted from 0); last good checkpoint: "
            f"{'none' if good is None else f'step {good} in {checkpoints.path}'}; "
            "lower the learning rate or look at that batch",
            step=error.step,
            metrics=run.grad_norms.summary("grad_norm"),
        ) from None
