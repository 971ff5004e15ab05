# Written by docs/stubs.py from the exported modules; do not edit.
from lesson7_lib.text.text_list import TextList
from pathlib import Path
from typing import Any

__all__ = ['review_experiments', 'reviews_data']
def reviews_data(where: str | Path) -> TextList: ...
_reader: Any
review_experiments: Any
