# Written by docs/stubs.py from the exported modules; do not edit.
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from lesson7_lib.vision.blind_degrade import Damaged
from lesson7_lib.vision.perceptual import RestorationEvaluator
from lesson7_lib.vision.restoration_net import RestorationNet
from pathlib import Path
from torch import Tensor
from torch import nn
from typing import Any
import PIL.Image
import random

__all__ = ['restoration_tasks', 'TestDamage', 'RestorationTask', 'median_3x3', 'middle', 'restored_by', 'picture_scores', 'test_generator', 'mean_scores', 'test_scores', 'classical_filters']
class TestDamage:
    __test__: bool
    steps: Any
    shrink: float
    back: bool
    def __init__(self, *steps: Callable[[PIL.Image.Image, random.Random], PIL.Image.Image], shrink: float=1.0, back: bool=True) -> None: ...
    def __call__(self, img: PIL.Image.Image, rng: random.Random) -> Damaged: ...
@dataclass(frozen=True)
class RestorationTask:
    name: str
    degrade: Callable[[PIL.Image.Image, random.Random], Damaged]
    tests: Mapping[str, Callable[[PIL.Image.Image, random.Random], Damaged]]
    net: Mapping[str, Any] = field(default_factory=dict)
    loss: Mapping[str, Any] = field(default_factory=dict)
    native: float = 0.9
    def model(self, **changes: Any) -> RestorationNet: ...
_photo_tests: Any
_x2_tests: Any
_old_tests: Any
_colour: Any
restoration_tasks: Any
def median_3x3(x: Tensor, mode: str='replicate') -> Tensor: ...
def middle(img: PIL.Image.Image, side: int=256) -> PIL.Image.Image: ...
def restored_by(nets: Mapping[str, nn.Module], bad: PIL.Image.Image, size: tuple[int, int], filters: Mapping[str, Callable[[PIL.Image.Image], PIL.Image.Image]] | None=None) -> dict[str, Tensor]: ...
def picture_scores(nets: Mapping[str, nn.Module], files: Iterable[str | Path], tests: Mapping[str, Callable[[PIL.Image.Image, random.Random], Damaged]], side: int=256, evaluator: RestorationEvaluator | None=None, filters: Mapping[str, Callable[[PIL.Image.Image], PIL.Image.Image]] | None=None) -> list[dict]: ...
def test_generator(damage: str, file: Path) -> random.Random: ...
def mean_scores(rows: Iterable[Mapping[str, Any]]) -> list[dict]: ...
def test_scores(net: nn.Module | None, files: Iterable[str | Path], tests: Mapping[str, Callable[[PIL.Image.Image, random.Random], Damaged]], side: int=256, evaluator: RestorationEvaluator | None=None, filters: Mapping[str, Callable[[PIL.Image.Image], PIL.Image.Image]] | None=None) -> list[dict]: ...
def classical_filters(means: Sequence[float]=..., variations: Sequence[float]=...) -> dict[str, Callable[[PIL.Image.Image], PIL.Image.Image]]: ...
def _non_local_means(img: PIL.Image.Image, h: float) -> PIL.Image.Image: ...
def _total_variation(img: PIL.Image.Image, weight: float) -> PIL.Image.Image: ...
