# Written by docs/stubs.py from the exported modules; do not edit.
from collections.abc import Callable
from collections.abc import Sequence
from lesson7_lib.core.databunch import DataBunch
from lesson7_lib.core.learner import Learner
from lesson7_lib.resnet_mnist import NormType
from lesson7_lib.resnet_mnist import relu
from lesson7_lib.vision.unet import Unet
from pathlib import Path
from torch import Tensor
from torch import nn
from typing import Any

__all__ = ['street_experiments', 'icnr', 'PixelShuffle_ICNR', 'small_encoder', 'UnetBlock', 'DynamicUnet', 'unet_learner', 'SelfAttention', 'NoSkip', 'ResnetBlock', 'LateBlock', 'street_mask', 'street_data', 'street_learner', 'score_streets', 'score_poles']
def icnr(x: Tensor, scale: int=2, init: Callable=...) -> Tensor: ...
class PixelShuffle_ICNR(nn.Module):
    conv: Any
    shuf: Any
    blur: Any
    relu: Any
    def __init__(self, ni: int, nf: int | None=None, scale: int=2, blur: bool=False, norm_type: NormType | str | None=..., leaky: float | None=None) -> None: ...
    def forward(self, x: Tensor) -> Tensor: ...
def small_encoder(widths: Sequence[int]=...) -> nn.Sequential: ...
class UnetBlock(nn.Module):
    crosses: bool
    hook: Any
    scale: Any
    shuf: Any
    bn: Any
    nf: Any
    conv1: Any
    conv2: Any
    relu: Any
    def __init__(self, up_in_c: int, x_in_c: int, hook: Any=None, final_div: bool=True, blur: bool=False, self_attention: bool | Callable=False, leaky: float | None=None, norm_type: NormType | str | None=None, scale: int=2, **kwargs: Any) -> None: ...
    def forward(self, up_in: Tensor, s: Tensor | None=None) -> Tensor: ...
def _only_weight_norms(kwargs): ...
class DynamicUnet(Unet):
    def __init__(self, encoder: nn.Module, n_out: int, img_size: Sequence[int]=..., blur: bool=False, blur_final: bool=True, self_attention: bool=False, y_range: tuple[float, float] | None=None, last_cross: bool=True, bottle: bool=False, norm_type: NormType | str | None=None, detach_skips: bool=False, n_in: int | None=None, block: Callable=..., **kwargs: Any) -> None: ...
    def _step(self, layer, up, maps): ...
def unet_learner(data: DataBunch, arch: Callable | str | nn.Module, pretrained: bool | str | Path=True, cut: int | Callable | None=None, blur: bool=False, blur_final: bool=True, norm_type: NormType | str | None=None, self_attention: bool=False, y_range: tuple[float, float] | None=None, last_cross: bool=True, bottle: bool=False, bottleneck: bool | None=None, n_in: int | None=None, split_on: Callable | None=None, detach_skips: bool=False, fast: bool=False, img_size: Sequence[int] | None=None, widths: Sequence[int] | None=None, block: Callable | None=None, residual: bool=False, **learn_kwargs: Any) -> Learner: ...
class SelfAttention(nn.Module):
    query: Any
    key: Any
    value: Any
    gamma: Any
    def __init__(self, n: int) -> None: ...
    def forward(self, x: Tensor) -> Tensor: ...
class NoSkip(UnetBlock):
    def forward(self, up_in: Tensor, s: Tensor) -> Tensor: ...
class ResnetBlock(UnetBlock):
    def forward(self, up_in: Tensor, s: Tensor) -> Tensor: ...
class LateBlock(UnetBlock):
    conv1: Any
    conv2: Any
    mix: Any
    def __init__(self, up_in_c: int, x_in_c: int, leaky: float | None=None, norm_type: NormType | str | None=None, **kwargs: Any) -> None: ...
    def forward(self, up_in: Tensor, s: Tensor) -> Tensor: ...
def street_mask(fn: str | Path) -> Path: ...
def street_data(source: str | Path, size: tuple[int, int] | None=None, bs: int=8, valid: str='val', tfms: tuple[list, list] | None=None) -> DataBunch: ...
def street_learner(data: DataBunch, arch: Callable | str | nn.Module, weights: bool | str=False, learn_void: bool=True, bf16: bool=False, **kwargs: Any) -> Learner: ...
def score_streets(learn: Learner, mirrored: bool=False) -> dict: ...
_resnet: Any
_mobilenet: Any
_lecture: Any
_today: Any
_one_size: Any
_today_resnet: Any
_full_size: Any
_small_unet: Any
_small: Any
def score_poles(learn: Learner) -> dict: ...
_pole_loss: Any
_pole_net: Any
_poles: Any
street_experiments: Any
