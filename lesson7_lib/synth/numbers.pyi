# Written by docs/stubs.py from the exported modules; do not edit.
from pathlib import Path
from typing import Any

__all__ = ['number_words', 'make_human_numbers']
_ones: Any
_tens: Any
def number_words(n: int) -> str: ...
def make_human_numbers(dest: Path) -> None: ...
