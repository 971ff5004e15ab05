"""Rows of numbers and classes: nothing of the validation and test rows reaches the processors, every row is encoded in
the same way alone and among others, a file is read as it was written, and many rows need little memory."""

import csv
import math
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesson7_lib.core.columns import as_columns, cont_cat_split, read_table
from lesson7_lib.core.table_data import Categorify, FillMissing, Normalize, TabularList

QUICK = settings(max_examples=30, deadline=None, derandomize=True, database=None)
PROCS = [FillMissing, Categorify, Normalize]
NUMBER = st.one_of(st.none(), st.floats(-1e6, 1e6, allow_subnormal=False))
WORD = st.one_of(st.none(), st.sampled_from(['a', 'b', 'c', 'd', 'two words']))
ROWS = st.lists(st.tuples(NUMBER, WORD, st.sampled_from('xy')), min_size=1, max_size=12)


def as_table(rows) -> dict:
    numbers, words, labels = zip(*rows)
    return dict(n=list(numbers), w=list(words), y=list(labels))


def labelled(rows, train: int):
    "The list of these rows, of which the first are for training."
    whole = TabularList.from_df(as_table(rows), cat_names=['w'], cont_names=['n'], procs=PROCS)
    return whole.split_by_idx(range(train, len(rows))).label_from_df('y')


@QUICK
@given(ROWS, ROWS, st.randoms(use_true_random=False))
def test_nothing_leaks(train, other, rnd):
    "Whatever the other rows hold, and in whatever order, the processors have learned the same."
    train = [*train, (1.5, 'a', 'x'), (2.5, None, 'y')]  # at least one number and both labels
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        learned = labelled([*train, (0.0, 'b', 'x')], len(train)).train.x.procs
        assert labelled([*train, *other], len(train)).train.x.procs == learned
        mixed = list(other)
        rnd.shuffle(mixed)
        a, b = labelled([*train, *other], len(train)), labelled([*train, *mixed], len(train))
        assert a.train.x.procs == b.train.x.procs
        for x, y in zip(a.train.x.tensors(), b.train.x.tensors(), strict=True):
            assert x.equal(y)


@QUICK
@given(ROWS)
def test_a_row_alone_and_among_others(rows):
    rows = [*rows, (1.5, 'a', 'x'), (2.5, None, 'y')]
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        lists = labelled(rows, len(rows))
        cats, conts = lists.train.batch_x(range(len(rows)))
        for i, (n, w, _) in enumerate(rows):
            one_cat, one_cont = lists.train.x.one(dict(n=n, w=w))
            assert one_cat[0].equal(cats[i]) and one_cont[0].equal(conts[i])
    assert conts.isfinite().all()


@QUICK
@given(st.lists(st.tuples(st.integers(-(10**9), 10**9), WORD, st.floats(-1e9, 1e9)), min_size=1, max_size=6))
def test_written_is_read(tmp_path_factory, rows):
    file = tmp_path_factory.mktemp('table') / 'a.csv'
    with open(file, 'w', newline='') as f:
        csv.writer(f).writerows([('whole', 'word', 'number'), *rows])
    found = read_table(file)
    assert found['whole'].tolist() == [o for o, _, _ in rows] and found['whole'].dtype == np.int64
    assert found['word'].tolist() == [o for _, o, _ in rows]
    assert all(math.isclose(a, b, abs_tol=1e-300) for a, (_, _, b) in zip(found['number'].tolist(), rows, strict=True))


def test_dataframe_and_dictionary_are_one():
    pd = pytest.importorskip('pandas')
    columns = dict(n=[1.0, None, 3.0], w=['a', None, 'b'], k=[1, 2, 3])
    df = pd.DataFrame(columns)
    df['w'] = df['w'].astype('category')
    assert cont_cat_split(df) == cont_cat_split(as_columns(dict(columns, n=np.array([1.0, np.nan, 3.0]))))
    lists = [TabularList.from_df(o, cat_names=['w', 'k'], cont_names=['n'], procs=PROCS) for o in (df, columns)]
    for o in lists:
        o.process()
    for a, b in zip(lists[0].tensors(), lists[1].tensors(), strict=True):
        assert a.equal(b)


def test_help_needs_no_torch():
    code = (
        'import sys\nfrom lesson7_lib.apps.table_command import table_main\n'
        'try: table_main(["--help"])\nfinally: assert not {"torch", "pandas", "numpy"} & set(sys.modules)'
    )
    r = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert r.returncode == 0 and 'train' in r.stdout, r.stderr


MEMORY = '''
import sys
import numpy as np
import torch
from lesson7_lib.core.table_data import Categorify, FillMissing, Normalize, TabularList
from lesson7_lib.tabular import tabular_learner


def peak(what):
    return next(int(o.split()[1]) * 1024 for o in open('/proc/self/status') if o.startswith(what))


def train(n):
    rng = np.random.default_rng(0)
    table = {f'x{i}': rng.standard_normal(n) for i in range(10)} | {f'c{i}': rng.integers(0, 9, n) for i in range(9)}
    table['y'] = (table['x0'] > 0).astype(np.int64)
    names = [f'c{i}' for i in range(9)], [f'x{i}' for i in range(10)]
    whole = TabularList.from_df(table, '.', *names, procs=[FillMissing, Categorify, Normalize])
    data = whole.random_split_by_pct(0.1, seed=0).label_from_df('y').databunch(bs=4096)
    tabular_learner(data, [16], silent=True).fit(1, 1e-2)
    return sum(o.nbytes for o in table.values())


torch.set_num_threads(1)
train(20_000)
before = peak('VmRSS')
size = train(int(sys.argv[1]))
print((peak('VmHWM') - before) / size)
'''


@pytest.mark.skipif(not Path('/proc/self/status').exists(), reason='the peak of memory is read from /proc')
def test_memory():
    "The table itself, the tensors and a training together: less than three times the bytes of the table."
    r = subprocess.run([sys.executable, '-c', MEMORY, '400000'], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    assert float(r.stdout) < 3, r.stdout
