# Written by docs/stubs.py from the exported modules; do not edit.
from types import SimpleNamespace
from typing import Any

__all__ = ['train_objects', 'objects_stage']
def train_objects(job: SimpleNamespace) -> dict[str, Any]: ...
_note: Any
def objects_stage(job: SimpleNamespace) -> dict[str, Any]: ...
