# Written by docs/stubs.py from the exported modules; do not edit.
from collections.abc import Sequence
from lesson7_lib.vision.degrade import Degradation
from typing import Any

__all__ = ['degradation_names', 'parse_degradation', 'crappify_main']
degradation_names: dict[str, type[Degradation]]
_whole_numbers: tuple
_limits: Any
def _number(o: str) -> float: ...
def parse_degradation(text: str) -> Degradation: ...
def crappify_main(args: Sequence[str] | None=None) -> int: ...
