#!/usr/bin/env python3
"""Measure one epoch of a language model on words and on characters, with validation: ours beside fastai's loader and
Learner at the same model.

Uses the environment of `run.py`. Both sides live in one process and take turns. `README.md` tells how to read the
table."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import pairs

BS, LR = 64, 3e-3
# text and cell: (rows of a batch, size of the embedding, hidden units, layers, batch norm before the output?)
MODELS = {
    'words RNN': (20, 64, 64, 1, True),
    'words GRU': (20, 64, 64, 2, True),
    'chars RNN': (8, 42, 256, 1, False),
    'chars GRU': (8, 42, 256, 1, False),
}
TITLES = ('words: RNN, one layer', 'words: GRU, two layers', 'characters: RNN, 256 units', 'characters: GRU, 256 units')


# ---------------------------------------------------------------- the sides
def data_of(which):
    "The human numbers, or the characters of the built-in text: the same for all sides"
    from lesson7_lib.char_rnn import char_lines, chars_data
    from lesson7_lib.human_numbers_rnn import numbers_data

    bptt = MODELS[which][0]
    if which.startswith('words'):
        return numbers_data(bs=BS, bptt=bptt, deterministic=True)
    return chars_data(BS, bptt, char_lines(1500)[0], deterministic=True)


def ours(which):
    "The lecture's and the notes' models; one epoch, and one pass over the batches alone"
    from lesson7_lib.char_rnn import CharSeqStatefulGRU, CharSeqStatefulRnn
    from lesson7_lib.core.learner import Learner
    from lesson7_lib.core.metrics import accuracy
    from lesson7_lib.human_numbers_rnn import Model4, Model5
    from lesson7_lib.text.evaluate import ResetState

    data, make = data_of(which), dict(zip(MODELS, (Model4, Model5, CharSeqStatefulRnn, CharSeqStatefulGRU)))[which]
    learn = Learner(data, make(len(data.vocab)), metrics=accuracy, callbacks=[ResetState()], silent=True)

    def batches():
        for _ in data.train_dl:
            pass
        for _ in data.valid_dl:
            pass

    return lambda: learn.fit_one_cycle(1, LR), batches, learn.model


def fastai(which):
    "The same model, batches first, as fastai's users make it: `LMDataLoader`, `ModelResetter`; bar and table off"
    import fastai.callback.schedule  # noqa: F401 (patches fit_one_cycle)
    import torch
    from fastai.callback.progress import ProgressCallback
    from fastai.callback.rnn import ModelResetter
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner
    from fastai.losses import CrossEntropyLossFlat
    from fastai.metrics import accuracy
    from fastai.text.data import LMDataLoader
    from torch import nn

    from lesson7_lib.human_numbers_rnn import BatchNorm1dFlat

    bptt, n_fac, nh, layers, norm = MODELS[which]

    class Model(nn.Module):
        def __init__(self, nv):
            super().__init__()
            self.i_h, self.rnn = (
                nn.Embedding(nv, n_fac),
                getattr(nn, which.split()[1])(n_fac, nh, layers, batch_first=True),
            )
            self.bn, self.h_o, self.h = BatchNorm1dFlat(nh) if norm else nn.Identity(), nn.Linear(nh, nv), None

        def reset(self):
            self.h = None

        def forward(self, x):
            res, h = self.rnn(self.i_h(x), self.h)
            self.h = h.detach()
            res = self.h_o(self.bn(res))
            return res if norm else res.log_softmax(-1)  # the notes' models end with it

    src = data_of(which)
    ids = [torch.as_tensor(o.x.ids[0]) for o in (src.train_ds, src.valid_ds)]
    dls = DataLoaders(
        *[LMDataLoader([o], bs=BS, seq_len=bptt, num_workers=0, shuffle=i == 0) for i, o in enumerate(ids)],
        device='cpu',
    )
    learn = Learner(
        dls, Model(len(src.vocab)), loss_func=CrossEntropyLossFlat(), metrics=accuracy, wd=1e-2, cbs=ModelResetter
    )
    learn.remove_cbs([o for o in learn.cbs if isinstance(o, ProgressCallback)])
    learn.logger = lambda *args: None

    def batches():
        for _ in dls.train:
            pass
        for _ in dls.valid:
            pass

    return lambda: learn.fit_one_cycle(1, LR), batches, learn.model


def bare(which):
    """What no loop can save: the model forward and backward on ready-made batches, a fused step, and validation
    without a metric"""
    import torch

    from lesson7_lib.core.optimizer import AdamW

    data, model = data_of(which), ours(which)[2]
    train, valid, opt = list(data.train_dl), list(data.valid_dl), AdamW(model.parameters(), lr=LR)

    def epoch():
        model.train()
        for x, y in train:
            data.loss_func(model(x), y).backward()
            opt.step()
            opt.zero_grad()
        model.eval()
        with torch.no_grad():
            for x, y in valid:
                data.loss_func(model(x), y)

    return epoch, lambda: None, model


# ---------------------------------------------------------------- measuring (inside the environment)
def measure(a):
    "What runs in the environment's Python: seconds of epochs and of batching, the sides in turn, one round thrown away"
    import torch

    torch.manual_seed(42)
    sides = {f'{k} {o}': f(o) for o in MODELS for k, f in dict(ours=ours, fastai=fastai, bare=bare).items()}
    parts = 'epoch', 'batches'
    secs = pairs.turns({(k, what): f for k, side in sides.items() for what, f in zip(parts, side)}, a.rounds)
    res = {k: {what: secs[k, what] for what in parts} for k in sides}
    params = {k: sum(p.numel() for p in m.parameters()) for k, (_, _, m) in sides.items()}
    if any(params[f'ours {k}'] != params[f'fastai {k}'] for k in MODELS):
        raise SystemExit(f'not the same model: {params}')
    return dict(seconds=res, params=params)


# ---------------------------------------------------------------- outside
def compare(a, python):
    "The rows, and what else the record holds"
    res = pairs.call(a, python, 'time')
    e, b = [{k: v[what] for k, v in res['seconds'].items()} for what in ('epoch', 'batches')]
    rows = []
    for k, title in zip(MODELS, TITLES):
        key, limit = k.lower().replace(' ', '_epoch_'), 0.6 if k.startswith('words') else 0.8
        rows += [
            pairs.row(key, f'{title}, one epoch', e[f'ours {k}'], e[f'fastai {k}'], 'fastai', limit),
            pairs.row(f'{key}_bare', '  the bare model, no loop around it', e[f'bare {k}'], e[f'fastai {k}'], 'fastai'),
        ]
    for k in ('words RNN', 'chars RNN'):
        name = k.split()[0]
        rows += [
            pairs.row(f'{name}_batches', f'{name}: the batches alone', b[f'ours {k}'], b[f'fastai {k}'], 'fastai'),
            pairs.row(
                f'{name}_share',
                f"{name}: the batches' share of our shorter epoch",
                b[f'ours {k}'],
                e[f'ours {k}'],
                'our epoch',
                0.01,
            ),
        ]
    return rows, dict(bs=BS, models=MODELS, sizes=res['params'])


def main():
    a = pairs.parse(pairs.parser(__doc__, '05'))
    if a.inside:
        return pairs.inside(a, measure)
    pairs.run(a, lambda python: compare(a, python), ('torch', 'fastai', 'lesson7_lib'))


if __name__ == '__main__':
    main()
