# Written by docs/stubs.py from the exported modules; do not edit.
from types import SimpleNamespace
from typing import Any

__all__ = ['train_pets', 'cam_stage']
def train_pets(job: SimpleNamespace) -> Any: ...
_note: Any
def cam_stage(job: SimpleNamespace) -> dict[str, Any]: ...
