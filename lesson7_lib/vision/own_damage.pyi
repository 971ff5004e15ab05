# Written by docs/stubs.py from the exported modules; do not edit.
from collections.abc import Callable
from collections.abc import Sequence
from lesson7_lib.vision.blind_degrade import Damaged
from lesson7_lib.vision.degrade import Degradation
from lesson7_lib.vision.restoration_tasks import RestorationTask
from torch import nn
from typing import Any
import PIL.Image
import random

__all__ = ['draw_step', 'task_of', 'OwnDamage', 'own_tests']
_scales: dict[type[Degradation], tuple[str, str, Callable[[float], float]]]
def draw_step(step: Callable, rng: random.Random) -> tuple[Callable, str | None, float]: ...
def task_of(net: nn.Module) -> RestorationTask: ...
class OwnDamage:
    steps: Any
    task: str
    clean: float
    names: Any
    def __init__(self, steps: Sequence[Callable], task: str='photo', clean: float=0.1) -> None: ...
    def __repr__(self) -> str: ...
    def __call__(self, img: PIL.Image.Image, rng: random.Random) -> Damaged: ...
    def _one(self, step: Callable, img: PIL.Image.Image, rng: random.Random, strengths: dict) -> PIL.Image.Image: ...
def own_tests(damage: OwnDamage, name: str='own damage') -> dict[str, OwnDamage]: ...
