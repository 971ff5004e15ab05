# Written by docs/stubs.py from the exported modules; do not edit.
from collections.abc import Iterable
from matplotlib.axes import Axes
from typing import Any
from typing import NamedTuple

__all__ = ['arrow_colours', 'net_parts', 'draw_net', 'draw_truncated', 'Arrow', 'draw_boxes']
arrow_colours: Any
def net_parts(words: int=3, layers: int=1, out: str='last', loop: bool=False, carried: bool=False) -> 'tuple[dict[Node, Point], list[tuple[Node, Node, str]]]': ...
def _draw_node(ax, kind, x, y): ...
def _draw_arrow(ax, a, b, colour): ...
def draw_net(title: str='', ax: 'Axes | None'=None, labels: Iterable[str]=..., **parts: Any) -> 'Axes': ...
def draw_truncated(title: str='', ax: 'Axes | None'=None, words: int=3, batches: int=2) -> 'Axes': ...
class Arrow(NamedTuple):
    start: str
    end: str
    text: str = ''
    bend: float = 0.0
    colour: str = '#333333'
    dashed: bool = False
def draw_boxes(boxes: 'dict[str, tuple]', arrows: 'Iterable[tuple]', title: str='', ax: 'Axes | None'=None, size: 'Point'=...) -> 'Axes': ...
