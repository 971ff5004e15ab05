# Written by docs/stubs.py from the exported modules; do not edit.
from collections.abc import Mapping
from lesson7_lib.apps.panels import Panel
from torch import Tensor
from typing import Any

__all__ = ['paddings', 'KernelPanel']
paddings: Any
class KernelPanel(Panel):
    picture: Any
    kernels: Any
    name: Any
    stride: Any
    padding: Any
    def __init__(self, picture: Tensor, kernels: Mapping[str, Tensor]) -> None: ...
    def answer(self, name: str, stride: int=1, padding: str='none') -> Tensor: ...
    def shown(self, name: str, stride: int=1, padding: str='none') -> Tensor: ...
    def still(self) -> Any: ...
    def widget(self) -> Any: ...
