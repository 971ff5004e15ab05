# Written by docs/stubs.py from the exported modules; do not edit.
from collections.abc import Sequence
from dataclasses import dataclass
from lesson7_lib.core.databunch import DataBunch
from lesson7_lib.core.experiment import Experiment
from lesson7_lib.core.table import Table
from pathlib import Path
from torch import nn
from typing import Any

__all__ = ['gpu_suite', 'SuiteEntry', 'in_tiny', 'restoration_pairs', 'to_sixteenth', 'suite_table']
@dataclass(frozen=True)
class SuiteEntry:
    experiment: Experiment
    tiny: Experiment
    guess: float
    bf16: bool = True
    channels_last: bool = True
    compile: bool = False
    weights: tuple[str, ...] = ()
    instead_of: str = ''
def in_tiny(experiment: Experiment, url: str, *sizes: Any, critic: dict | None=None, **changes: Any) -> Experiment: ...
_digits: Any
_grown: Any
_streets: Any
_objects: Any
_first: Any
def restoration_pairs(source: str | Path, size: int=128, low: int=96, bs: int | None=None) -> DataBunch: ...
def to_sixteenth(model: nn.Module) -> nn.Sequential: ...
_pets: Any
_features: Any
_as_lecture: Any
_pretrained: Any
_gan: Any
_short_gan: Any
_tiny_gan: Any
_tiny_features: Any
_weights: Any
gpu_suite: Any
def suite_table(entries: Sequence[SuiteEntry]=..., folder: str | Path | None=None) -> Table: ...
