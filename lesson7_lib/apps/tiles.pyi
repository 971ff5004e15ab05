# Written by docs/stubs.py from the exported modules; do not edit.
from typing import NamedTuple
import numpy as np

__all__ = ['Span', 'spans', 'blend_weights']
class Span(NamedTuple):
    start: int
    stop: int
    mix: int
    own: int
    tail: int
    end: int
def spans(n: int, tile: int, overlap: int) -> list[Span]: ...
def blend_weights(s: Span, scale: int=1) -> np.ndarray: ...
