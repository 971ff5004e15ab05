# Written by docs/stubs.py from the exported modules; do not edit.
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
import argparse

__all__ = ['restore_options', 'plain_warnings', 'run_restore', 'restore_main']
_models: str
_presets: Any
_epilog: str
def restore_options(args: list[str] | None=None) -> argparse.Namespace: ...
_formats: tuple
@contextmanager
def plain_warnings(command: str) -> Iterator[None]: ...
def run_restore(a: argparse.Namespace) -> int: ...
def restore_main(args: list[str] | None=None) -> int: ...
