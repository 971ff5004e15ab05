# Written by docs/stubs.py from the exported modules; do not edit.
from collections.abc import Iterator
from lesson7_lib.core.databunch import BatchLoader
from torch import Tensor
from torch import nn
from typing import Any
import torch

__all__ = ['AttentionBlock', 'distance_bias', 'CausalTransformer', 'rename_word', 'RandomWindows']
class AttentionBlock(nn.Module):
    heads: int
    drop: Any
    norm1: Any
    qkv: Any
    out: Any
    norm2: Any
    mlp: Any
    def __init__(self, nh: int, heads: int=8, ff: int=2, p: float=0.1) -> None: ...
    def forward(self, x: Tensor, bias: Tensor) -> Tensor: ...
def distance_bias(n: int, penalty: Tensor) -> Tensor: ...
class CausalTransformer(nn.Module):
    context: int
    word_p: float
    swap: float
    unk: int
    i_h: Any
    norm: Any
    h_o: Any
    blocks: Any
    def __init__(self, nv: int=38, nh: int=128, n_blocks: int=3, heads: int=8, p: float=0.1, word_p: float=0.2, swap: float=0.5, unk: int=0, context: int=32) -> None: ...
    def disturb(self, x: Tensor) -> tuple[Tensor, Tensor]: ...
    def forward(self, x: Tensor) -> Tensor: ...
def rename_word(text: Tensor, share: float, names: tuple[int, int], least: int=3) -> Tensor: ...
class RandomWindows(BatchLoader):
    seq_first: bool
    ids: Any
    bptt: int
    targets: Any
    around: Any
    share: float
    rename: float
    def __init__(self, dataset: Any, bs: int=64, bptt: int=32, targets: Tensor | None=None, device: torch.device | str | None=None, around: Tensor | None=None, share: float=0.0, rename: float=0.0) -> None: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]: ...
