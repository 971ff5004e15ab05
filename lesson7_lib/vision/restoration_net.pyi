# Written by docs/stubs.py from the exported modules; do not edit.
from collections.abc import Callable
from collections.abc import Sequence
from torch import Tensor
from torch import nn
from typing import Any
from typing import NamedTuple

__all__ = ['PlainBlock', 'DamageEstimate', 'Restored', 'RestorationNet', 'brightness', 'resize_maps', 'continue_to', 'megapixel_operations', 'RestorationLoss', 'restored_psnr']
class PlainBlock(nn.Module):
    conv1: Any
    conv2: Any
    def __init__(self, nf: int, dilation: int=1) -> None: ...
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
    estimate: Any
    head: Any
    blocks: Any
    tail: Any
    def __init__(self, nf: int=64, dilations: Sequence[int]=..., strengths: int=5, down: int=2, up: int=2, scaled: bool=True, same_brightness: bool=False) -> None: ...
    def forward(self, x: Tensor) -> Tensor | Restored: ...
    def both(self, x: Tensor) -> Restored: ...
def brightness(x: Tensor) -> Tensor: ...
def resize_maps(maps: Tensor, like: Tensor) -> Tensor: ...
def continue_to(x: Tensor, multiple: int) -> Tensor: ...
def megapixel_operations(net: RestorationNet) -> float: ...
class RestorationLoss(nn.Module):
    metric_names: tuple
    estimate: float
    perceptual: float
    distance: Callable[[Tensor, Tensor], Tensor] | None
    eps: float
    metrics: dict[str, Tensor]
    def __init__(self, estimate: float=0.1, perceptual: float=0.0, distance: Callable[[Tensor, Tensor], Tensor] | None=None, eps: float=0.001) -> None: ...
    def forward(self, pred: Tensor | Restored, good: Tensor, strengths: Tensor) -> Tensor: ...
def restored_psnr(pred: Tensor | Restored, good: Tensor, strengths: Tensor) -> Tensor: ...
