# Written by docs/stubs.py from the exported modules; do not edit.
from types import SimpleNamespace
from typing import Any

__all__ = ['train_people', 'tables_stage']
def train_people(job: SimpleNamespace) -> dict[str, Any]: ...
_note: Any
def tables_stage(job: SimpleNamespace) -> dict[str, Any]: ...
