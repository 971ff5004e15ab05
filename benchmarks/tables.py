#!/usr/bin/env python3
"""Measure one epoch on a table, with validation: ours beside fastai's TabularPandas and Learner with the same model;
and the memory that a million rows take.

Uses the environment of `run.py`. Both sides live in one process and take turns. `README.md` tells how to read the
table."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import pairs

ROWS, MANY, LR = 32561, 1_000_000, 1e-2
BATCHES = 64, 512
CATS = 'workclass education marital-status occupation relationship race sex native-country'.split()
CONTS = 'age fnlwgt education-num capital-gain capital-loss hours-per-week'.split()


# ---------------------------------------------------------------- the sides
def people(quick):
    "As many rows as Adult has, made by the library; the last fifth is for validation"
    from lesson7_lib.synth.tables import made_people

    n = ROWS // 4 if quick else ROWS
    return made_people(n), range(n - n // 5, n)


def lists(table, valid):
    from lesson7_lib.core.table_data import Categorify, FillMissing, Normalize, TabularList

    whole = TabularList.from_df(table, cat_names=CATS, cont_names=CONTS, procs=[FillMissing, Categorify, Normalize])
    return whole.split_by_idx(list(valid)).label_from_df('income')


def ours(bs, quick):
    "The chain and the model of the lesson: an epoch, and a pass over the batches alone"
    from lesson7_lib.core.metrics import accuracy
    from lesson7_lib.tabular import tabular_learner

    data = lists(*people(quick)).databunch(bs=bs)
    learn = tabular_learner(data, [200, 100], metrics=accuracy, silent=True)

    def batches():
        for _ in data.train_dl:
            pass

    return lambda: learn.fit_one_cycle(1, LR), batches, learn.model


def fastai(bs, quick):
    "TabularPandas, its loader, Learner with our model; bar and table off"
    import fastai.callback.schedule  # noqa: F401 (patches fit_one_cycle)
    import pandas as pd
    from fastai.callback.progress import ProgressCallback
    from fastai.metrics import accuracy
    from fastai.tabular.all import Categorify, CategoryBlock, FillMissing, Normalize, TabularLearner, TabularPandas

    from lesson7_lib.tabular import TabularModel, emb_sz_rule

    table, valid = people(quick)
    df = pd.DataFrame(table)
    splits = [o for o in range(len(df)) if o < valid.start], list(valid)
    to = TabularPandas(
        df, [Categorify, FillMissing, Normalize], CATS, CONTS, y_names='income', y_block=CategoryBlock(), splits=splits
    )
    dls = to.dataloaders(bs=bs, device='cpu')
    sizes = [(len(to.classes[o]), emb_sz_rule(len(to.classes[o]))) for o in to.cat_names]
    learn = TabularLearner(dls, TabularModel(sizes, len(CONTS), 2, [200, 100]), metrics=accuracy, wd=1e-2)
    learn.remove_cbs([o for o in learn.cbs if isinstance(o, ProgressCallback)])
    learn.logger = lambda *args: None

    def batches():
        for _ in dls.train:
            pass

    return lambda: learn.fit_one_cycle(1, LR), batches, learn.model


def bare(bs, quick):
    "What no loop can save: the model forward and backward on ready-made batches, a fused step, and validation"
    import torch

    from lesson7_lib.core.optimizer import AdamW

    data, model = lists(*people(quick)).databunch(bs=bs), ours(bs, quick)[2]
    train, valid, opt = list(data.train_dl), list(data.valid_dl), AdamW(model.parameters(), lr=LR)

    def epoch():
        model.train()
        for x, y in train:
            data.loss_func(model(*x), y).backward()
            opt.step()
            opt.zero_grad()
        model.eval()
        with torch.no_grad():
            for x, y in valid:
                data.loss_func(model(*x), y)

    return epoch, lambda: None, model


# ---------------------------------------------------------------- measuring (inside the environment)
def peak_memory():
    "Resident memory now, and its peak, in bytes (Linux)"
    lines = dict(o.split(':') for o in Path('/proc/self/status').read_text().splitlines() if o.startswith('Vm'))
    return [int(lines[o].split()[0]) * 1024 for o in ('VmRSS', 'VmHWM')]


def measure_memory(a):
    "A million rows: the table, the chain, an epoch; how far the process has grown, beside the bytes of the table"
    import numpy as np

    from lesson7_lib.core.table_data import Categorify, FillMissing, Normalize, TabularList
    from lesson7_lib.tabular import tabular_learner

    def train(n):
        rng = np.random.default_rng(0)
        table = {f'x{i}': rng.standard_normal(n) for i in range(10)} | {
            f'c{i}': rng.integers(0, 9, n) for i in range(9)
        }
        table['y'] = (table['x0'] + rng.standard_normal(n) > 0).astype(np.int64)
        names = [f'c{i}' for i in range(9)], [f'x{i}' for i in range(10)]
        whole = TabularList.from_df(table, '.', *names, procs=[FillMissing, Categorify, Normalize])
        data = whole.random_split_by_pct(0.1, seed=0).label_from_df('y').databunch(bs=4096)
        tabular_learner(data, [200, 100], silent=True).fit(1, LR)
        return sum(o.nbytes for o in table.values())

    train(20_000)  # what PyTorch itself needs
    before = peak_memory()[0]
    size = train(MANY // 10 if a.quick else MANY)
    return dict(bytes=size, grown=peak_memory()[1] - before)


def measure(a):
    "What runs in the environment's Python: seconds of epochs and of batching, the sides in turn, one round thrown away"
    import torch

    if a.inside == 'memory':
        return measure_memory(a)
    torch.manual_seed(42)
    sides = {(k, bs): f(bs, a.quick) for bs in BATCHES for k, f in dict(ours=ours, fastai=fastai, bare=bare).items()}
    parts = 'epoch', 'batches'
    secs = pairs.turns({(*k, what): f for k, side in sides.items() for what, f in zip(parts, side)}, a.rounds)
    params = {f'{k} {bs}': sum(p.numel() for p in m.parameters()) for (k, bs), (_, _, m) in sides.items()}
    if len(set(params.values())) != 1:
        raise SystemExit(f'not the same model: {params}')
    return dict(seconds=[[*k, v] for k, v in secs.items()], params=params)


# ---------------------------------------------------------------- outside
def compare(a, python):
    "The rows, and what else the record holds"
    quick = dict(quick='') if a.quick else {}
    res = pairs.call(a, python, 'time', **quick)
    s = {(k, bs, what): v for k, bs, what, v in res['seconds']}
    rows = []
    for bs in BATCHES:
        limit = 0.3 if bs == 64 else None
        ours_epoch, theirs = s['ours', bs, 'epoch'], s['fastai', bs, 'epoch']
        rows += [
            pairs.row(f'epoch_{bs}', f'one epoch, bs {bs}', ours_epoch, theirs, 'fastai', limit),
            pairs.row(f'bare_{bs}', '  the bare model, no loop around it', s['bare', bs, 'epoch'], theirs, 'fastai'),
            pairs.row(
                f'batches_{bs}', '  the batches alone', s['ours', bs, 'batches'], s['fastai', bs, 'batches'], 'fastai'
            ),
        ]
    memory = pairs.call(a, python, 'memory', **quick)
    rows.append(
        pairs.row('memory', 'a million rows, one epoch', [memory['grown']], [memory['bytes']], 'the table', 3, 'bytes')
    )
    return rows, dict(rows_of_table=ROWS, sizes=res['params'])


def main():
    a = pairs.parse(pairs.parser(__doc__, '11'))
    if a.inside:
        return pairs.inside(a, measure)
    pairs.run(a, lambda python: compare(a, python), ('torch', 'fastai', 'lesson7_lib'))


if __name__ == '__main__':
    main()
