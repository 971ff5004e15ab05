# Written by docs/stubs.py from the exported modules; do not edit.
import argparse

__all__ = ['table_options', 'table_main']
_epilog: str
def table_options(args: list[str] | None=None) -> argparse.Namespace: ...
def table_main(args: list[str] | None=None) -> int: ...
