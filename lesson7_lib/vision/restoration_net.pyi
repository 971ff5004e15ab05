# Written by docs/stubs.py from the exported modules; do not edit.
from collections.abc import Callable
from collections.abc import Sequence
from torch import Tensor
from torch import nn
from typing import Any
from typing import NamedTuple

__all__ = ['PlainBlock', 'ResidualLevels', 'DamageEstimate', 'Restored', 'RestorationNet', 'brightness', 'resize_maps', 'continue_to', 'megapixel_operations', 'RestorationLoss', 'restored_psnr']
class PlainBlock(nn.Module):
    conv1: Any
    conv2: Any
    def __init__(self, nf: int) -> None: ...
    def forward(self, x: Tensor) -> Tensor: ...
class ResidualLevels(nn.Module):
    multiple: Any
    ways_down: Any
    ways_up: Any
    shrink: Any
    grow: Any
    def __init__(self, widths: Sequence[int], depths: Sequence[int]) -> None: ...
    @staticmethod
    def level(nf: int, n: int) -> nn.Sequential: ...
    def forward(self, x: Tensor) -> Tensor: ...
class DamageEstimate(nn.Module):
    detail: float
    down: int
    window: int
    body: Any
    head: Any
    def __init__(self, n_out: int, down: int=2, nf: int=24, window: int=7) -> None: ...
    def forward(self, x: Tensor) -> Tensor: ...
class Restored(NamedTuple):
    image: Tensor
    strengths: Tensor | None
class RestorationNet(nn.Module):
    smallest: float
    down: int
    up: int
    scaled: bool
    same_brightness: bool
    view: int | None
    estimate: Any
    head: Any
    levels: Any
    tail: Any
    def __init__(self, widths: Sequence[int]=..., depths: Sequence[int]=..., strengths: int=5, down: int=2, up: int=2, scaled: bool=True, same_brightness: bool=False, view: int | None=None) -> None: ...
    def forward(self, x: Tensor) -> Tensor | Restored: ...
    @property
    def multiple(self) -> int: ...
    def both(self, x: Tensor) -> Restored: ...
def brightness(x: Tensor) -> Tensor: ...
def resize_maps(maps: Tensor, like: Tensor) -> Tensor: ...
def continue_to(x: Tensor, multiple: int) -> Tensor: ...
def megapixel_operations(net: RestorationNet, side: int=128) -> float: ...
class RestorationLoss(nn.Module):
    metric_names: tuple
    estimate: float
    perceptual: float
    distance: Callable[[Tensor, Tensor], Tensor] | None
    eps: float
    colourful: float
    metrics: dict[str, Tensor]
    def __init__(self, estimate: float=0.1, perceptual: float=0.0, distance: Callable[[Tensor, Tensor], Tensor] | None=None, eps: float=0.001, colourful: float=0.0) -> None: ...
    def forward(self, pred: Tensor | Restored, good: Tensor, strengths: Tensor) -> Tensor: ...
    def charbonnier(self, image: Tensor, good: Tensor) -> Tensor: ...
def restored_psnr(pred: Tensor | Restored, good: Tensor, strengths: Tensor) -> Tensor: ...
