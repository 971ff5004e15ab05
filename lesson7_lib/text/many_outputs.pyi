# Written by docs/stubs.py from the exported modules; do not edit.
from torch import Tensor
from torch import nn
from typing import Any

__all__ = ['Tagger', 'NumberClassifier']
class Tagger(nn.Module):
    i_h: Any
    rnn: Any
    h_o: Any
    def __init__(self, nv: int, nc: int, nh: int=64, both: bool=False) -> None: ...
    def forward(self, x: Tensor) -> Tensor: ...
class NumberClassifier(nn.Module):
    body: nn.Module
    pad: int
    bptt: int
    head: Any
    def __init__(self, body: nn.Module, nc: int, pad: int=1, bptt: int=70) -> None: ...
    def forward(self, x: Tensor) -> Tensor: ...
