# Written by docs/stubs.py from the exported modules; do not edit.
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field
from lesson7_lib.core.callback import LearnerCallback
from lesson7_lib.core.learner import Learner
from pathlib import Path
from typing import Any

__all__ = ['experiments', 'Stage', 'Experiment', 'register_experiments', 'find_experiments', 'find_experiment', 'train_stage', 'run_experiment', 'experiment_weights', 'MetricHistory']
@dataclass(frozen=True)
class Stage:
    epochs: int = 1
    lr: float | slice | None = 0.001
    pct_start: float | None = 0.3
    name: str = ''
    size: int | tuple[int, int] | None = None
    frozen: bool | None = None
    fit: 'Callable[[Learner, Stage], Any] | None' = None
    options: Mapping[str, Any] = field(default_factory=dict)
@dataclass(frozen=True)
class Experiment:
    lesson: str
    name: str
    url: str
    data: Callable[..., Any]
    model: Callable[[Any], Any]
    stages: tuple[Stage, ...]
    score: Callable[[Any], Any]
    metric: str = 'accuracy'
    unit: str = ''
    seeds: tuple[int, ...] = (42,)
    lecture: float | Mapping[str, float] | None = None
    baselines: Callable[[Any], list[dict]] | None = None
    note: str = ''
    def __post_init__(self) -> None: ...
    @property
    def address(self) -> str: ...
    def but(self, name: str, **changes: Any) -> 'Experiment': ...
experiments: dict[str, Experiment]
def register_experiments(table: Iterable[Experiment]) -> dict[str, Experiment]: ...
def find_experiments(patterns: Iterable[str]) -> list[Experiment]: ...
def find_experiment(address: str) -> Experiment: ...
class _Clock:
    seconds: Any
    cpu_seconds: Any
    def __init__(self) -> None: ...
    @contextmanager
    def running(self) -> Iterator[None]: ...
def train_stage(learn: 'Learner', stage: Stage) -> 'Learner': ...
def _record(experiment: Experiment, stage: str, seed: int, score: Mapping[str, Any], **facts: Any) -> dict: ...
def _shorter(stages: tuple[Stage, ...], epochs: Iterable[int] | None) -> tuple[Stage, ...]: ...
def _scores(experiment: Experiment, learn: 'Learner') -> list[Mapping[str, Any]]: ...
def run_experiment(experiment: Experiment, seed: int=42, epochs: Iterable[int] | None=None, path: str | Path | None=None, silent: bool=True, save: bool=False) -> list[dict]: ...
def experiment_weights(experiment: Experiment | str, stage: str='', seed: int=42) -> Path: ...
class MetricHistory(LearnerCallback):
    order: int
    values: list[float]
    def __init__(self, learn: 'Learner') -> None: ...
    def on_train_end(self) -> None: ...
