# Written by docs/stubs.py from the exported modules; do not edit.
from collections.abc import Iterator
from contextlib import contextmanager
import argparse

__all__ = ['table_options', 'table_main']
_epilog: str
def table_options(args: list[str] | None=None) -> argparse.Namespace: ...
@contextmanager
def _plain_warnings() -> Iterator[None]: ...
def table_main(args: list[str] | None=None) -> int: ...
