"""Tables of texts: what was written is what is read, whatever the delimiter and the quotation marks, and a cell that is
missing is an error that names its row."""

import csv
import io
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesson7_lib.core.items import ItemList
from lesson7_lib.text.text_list import TextList

QUICK = settings(max_examples=40, deadline=None, derandomize=True, database=None)
TEXT = st.text(st.characters(codec='utf-8', exclude_characters='\0'), min_size=1, max_size=12).filter(str.strip)
MISSING = (None, math.nan, '', ' ')


def csv_text(rows: list[tuple], delimiter: str) -> str:
    "These rows as Python's own writer puts them into a file."
    out = io.StringIO(newline='')
    csv.writer(out, delimiter=delimiter, lineterminator='\n').writerows(rows)
    return out.getvalue()


@QUICK
@given(
    st.lists(st.tuples(TEXT, st.sampled_from('ab'), st.booleans()), min_size=1, max_size=4), st.sampled_from(',;\t|')
)
def test_written_is_read(tmp_path_factory, rows, delimiter):
    folder = tmp_path_factory.mktemp('table')
    (folder / 'a.csv').write_bytes(csv_text([('text', 'label', 'is_valid'), *rows], delimiter).encode())
    found = TextList.from_csv(folder, 'a.csv', delimiter=delimiter)
    assert list(found.items) == [o.replace('\r\n', '\n') for o, _, _ in rows]
    assert list(found.table['label']) == [o for _, o, _ in rows]
    flags = [o for _, _, o in rows]
    if any(flags) and not all(flags):
        split = found.split_from_df()
        assert list(split.valid.items) == [t for t, v in zip(found.items, flags, strict=True) if v]
        assert len(split.train) + len(split.valid) == len(rows)


@QUICK
@given(st.lists(TEXT, min_size=1, max_size=5), st.data())
def test_missing_cells_are_named(texts, data):
    i = data.draw(st.integers(0, len(texts)))
    column = [*texts[:i], data.draw(st.sampled_from(MISSING)), *texts[i:]]
    with pytest.raises(ValueError, match=rf'1 texts are missing .*: number {i}, counted from 0'):
        TextList.from_df({'text': column})
    with pytest.raises(ValueError, match=rf'1 labels are missing .*: number {i}, counted from 0'):
        TextList.from_df({'text': ['x'] * len(column), 'label': column}).label_from_df()
    with pytest.raises(ValueError, match=rf'1 labels are missing .*: number {i}, counted from 0'):
        ItemList(range(len(column))).label_from_list(column)


@QUICK
@given(st.lists(st.floats(-1e30, 1e30), min_size=1, max_size=5), st.data())
def test_numbers_that_are_none_are_named(numbers, data):
    i = data.draw(st.integers(0, len(numbers)))
    column = [*numbers[:i], data.draw(st.sampled_from([math.nan, math.inf, -math.inf])), *numbers[i:]]
    with pytest.raises(ValueError, match=rf'1 labels are (missing|infinite).*: number {i}, counted from 0'):
        ItemList(range(len(column))).label_from_list(column)
