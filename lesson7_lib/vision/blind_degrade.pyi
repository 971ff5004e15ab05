# Written by docs/stubs.py from the exported modules; do not edit.
from PIL import ImageDraw
from collections.abc import Mapping
from collections.abc import Sequence
from lesson7_lib.vision.degrade import Degradation
from lesson7_lib.vision.degrade import Jpeg
from typing import Any
from typing import NamedTuple
import PIL.Image
import random

__all__ = ['damage_scale', 'CameraNoise', 'AnyJpeg', 'ResizeBy', 'Damaged', 'damage_of', 'BlindDegradation', 'HalfSize', 'Marks', 'Fade', 'OldPrint', 'GreyCopy']
class CameraNoise(Degradation):
    std: float | tuple[float, float]
    grey: float
    shot: float
    def __init__(self, std: float | tuple[float, float]=..., grey: float=0.4, shot: float=0.3) -> None: ...
    def __call__(self, img: PIL.Image.Image, rng: random.Random) -> PIL.Image.Image: ...
class AnyJpeg(Jpeg):
    def encode(self, img: PIL.Image.Image, rng: random.Random) -> bytes: ...
_filters: Any
class ResizeBy(Degradation):
    factor: float | tuple[float, float]
    def __init__(self, factor: float | tuple[float, float]=...) -> None: ...
    def __call__(self, img: PIL.Image.Image, rng: random.Random) -> PIL.Image.Image: ...
class Damaged(NamedTuple):
    bad: PIL.Image.Image
    good: PIL.Image.Image
    strengths: dict[str, float]
damage_scale: float
def damage_of(bad: PIL.Image.Image, good: PIL.Image.Image) -> float: ...
class BlindDegradation:
    names: tuple
    kinds: Any
    jpeg: tuple[int, int]
    noise: tuple[float, float]
    blur: tuple[float, float]
    shrink: tuple[float, float]
    clean: float
    single: float
    resized: float
    weights: Any
    def __init__(self, jpeg: tuple[int, int]=..., noise: tuple[float, float]=..., blur: tuple[float, float]=..., shrink: tuple[float, float]=..., clean: float=0.12, single: float=0.5, resized: float=0.0, weights: Mapping[str, float] | None=None) -> None: ...
    def draw_kinds(self, rng: random.Random) -> list[str]: ...
    def __call__(self, img: PIL.Image.Image, rng: random.Random) -> Damaged: ...
    def one(self, kind: str, img: PIL.Image.Image, rng: random.Random) -> tuple[PIL.Image.Image, float]: ...
def _enlarged(img: PIL.Image.Image, size: tuple[int, int], rng: random.Random) -> PIL.Image.Image: ...
class HalfSize:
    names: Any
    then: Any
    def __init__(self, then: BlindDegradation | None=None) -> None: ...
    def __call__(self, img: PIL.Image.Image, rng: random.Random) -> Damaged: ...
class Marks(Degradation):
    lines: tuple[int, int]
    specks: tuple[int, int]
    width: tuple[float, float]
    def __init__(self, lines: tuple[int, int]=..., specks: tuple[int, int]=..., width: tuple[float, float]=...) -> None: ...
    def __call__(self, img: PIL.Image.Image, rng: random.Random) -> PIL.Image.Image: ...
    def line(self, draw: ImageDraw.ImageDraw, size: tuple[int, int], rng: random.Random) -> None: ...
    def speck(self, draw: ImageDraw.ImageDraw, size: tuple[int, int], rng: random.Random) -> None: ...
class Fade(Degradation):
    amount: float | tuple[float, float]
    def __init__(self, amount: float | tuple[float, float]=...) -> None: ...
    def __call__(self, img: PIL.Image.Image, rng: random.Random) -> PIL.Image.Image: ...
class OldPrint:
    names: tuple
    grey: float
    marks: float
    fade: float
    clean: float
    then: Any
    def __init__(self, grey: float=0.5, marks: float=0.8, fade: float=0.5, clean: float=0.1, then: BlindDegradation | None=None) -> None: ...
    def __call__(self, img: PIL.Image.Image, rng: random.Random) -> Damaged: ...
class GreyCopy:
    names: Sequence[str] = ()
    def __call__(self, img: PIL.Image.Image, rng: random.Random) -> Damaged: ...
