# Written by docs/stubs.py from the exported modules; do not edit.
import argparse

__all__ = ['classify_options', 'classify_main']
_epilog: str
def classify_options(args: list[str] | None=None) -> argparse.Namespace: ...
def classify_main(args: list[str] | None=None) -> int: ...
