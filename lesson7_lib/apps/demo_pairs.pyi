# Written by docs/stubs.py from the exported modules; do not edit.
from lesson7_lib.siamese import PictureSearch
from pathlib import Path
from types import SimpleNamespace
from typing import Any

__all__ = ['train_search', 'search_strip', 'pairs_stage']
def train_search(job: SimpleNamespace) -> dict[str, Any]: ...
def search_strip(search: 'PictureSearch', file: str | Path, n: int=4, size: int=96) -> str: ...
_note: Any
def pairs_stage(job: SimpleNamespace) -> dict[str, Any]: ...
