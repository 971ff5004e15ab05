#!/usr/bin/env python3
"""Measure one epoch of a language model on words, with validation: ours beside fastai's loader and Learner at the same model.

Uses the environment of `run.py`. Both sides live in one process and take turns. `README.md` tells how to read the table."""
import gc, sys, time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import pairs

BS, BPTT, LR = 64, 20, 3e-3


# ---------------------------------------------------------------- the sides
def ours(kind):
    "The lecture's RNN or GRU on the lecture's numbers; one epoch, and one pass over the batches alone"
    from lesson7_lib.human_numbers_rnn import Model4, Model5, numbers_data
    from lesson7_lib.learner import Learner
    from lesson7_lib.metrics import accuracy
    from lesson7_lib.text import ResetState
    data = numbers_data(bs=BS, bptt=BPTT, deterministic=True)
    learn = Learner(data, dict(RNN=Model4, GRU=Model5)[kind](), metrics=accuracy, callbacks=[ResetState()], silent=True)
    def batches():
        for _ in data.train_dl: pass
        for _ in data.valid_dl: pass
    return lambda: learn.fit_one_cycle(1, LR), batches, learn.model

def fastai(kind):
    "The same model, batches first, as fastai's users make it: `LMDataLoader`, `ModelResetter`; bar and table off"
    import torch
    from torch import nn
    from fastai.callback.progress import ProgressCallback
    from fastai.callback.rnn import ModelResetter
    import fastai.callback.schedule  # noqa: F401 (patches fit_one_cycle)
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner
    from fastai.losses import CrossEntropyLossFlat
    from fastai.metrics import accuracy
    from fastai.text.data import LMDataLoader
    from lesson7_lib.human_numbers_rnn import BatchNorm1dFlat, numbers_data

    class Model(nn.Module):
        def __init__(self, nv=38, nh=64):
            super().__init__()
            self.i_h, self.rnn = nn.Embedding(nv, nh), getattr(nn, kind)(nh, nh, 2 if kind=='GRU' else 1, batch_first=True)
            self.h_o, self.bn, self.h = nn.Linear(nh, nv), BatchNorm1dFlat(nh), None
        def reset(self): self.h = None
        def forward(self, x):
            res, h = self.rnn(self.i_h(x), self.h)
            self.h = h.detach()
            return self.h_o(self.bn(res))

    src = numbers_data()
    ids = [torch.as_tensor(o.x.ids[0]) for o in (src.train_ds, src.valid_ds)]
    dls = DataLoaders(*[LMDataLoader([o], bs=BS, seq_len=BPTT, num_workers=0, shuffle=i==0) for i, o in enumerate(ids)], device='cpu')
    learn = Learner(dls, Model(), loss_func=CrossEntropyLossFlat(), metrics=accuracy, wd=1e-2, cbs=ModelResetter)
    learn.remove_cbs([o for o in learn.cbs if isinstance(o, ProgressCallback)])
    learn.logger = lambda *args: None
    def batches():
        for _ in dls.train: pass
        for _ in dls.valid: pass
    return lambda: learn.fit_one_cycle(1, LR), batches, learn.model


# ---------------------------------------------------------------- measuring (inside the environment)
def measure(a):
    "What runs in the environment's Python: seconds of epochs and of batching, the sides in turn, one round thrown away"
    import torch
    torch.manual_seed(42)
    sides = {f'{k} {kind}': f(kind) for kind in ('RNN', 'GRU') for k, f in dict(ours=ours, fastai=fastai).items()}
    res, names = {k: dict(epoch=[], batches=[]) for k in sides}, list(sides)
    for r in range(-1, a.rounds):
        for k in names[r % 4:] + names[:r % 4]:
            for what, f in zip(('epoch', 'batches'), sides[k]):
                gc.collect()
                t = time.perf_counter()
                f()
                if r >= 0: res[k][what].append(time.perf_counter()-t)
    params = {k: sum(p.numel() for p in m.parameters()) for k, (_, _, m) in sides.items()}
    if any(params[f'ours {k}'] != params[f'fastai {k}'] for k in ('RNN', 'GRU')): raise SystemExit(f'not the same model: {params}')
    return dict(seconds=res, params=params)


# ---------------------------------------------------------------- outside
def compare(a, python):
    "The rows, and what else the record holds"
    res = pairs.call(a, python, 'time')
    e, b = [{k: v[what] for k, v in res['seconds'].items()} for what in ('epoch', 'batches')]
    rows = [pairs.row(f'words_epoch_{k.lower()}', f'{title} on human numbers, one epoch', e[f'ours {k}'], e[f'fastai {k}'], 'fastai', .6)
            for k, title in dict(RNN='RNN, one layer,', GRU='GRU, two layers,').items()]
    rows += [pairs.row('words_batches', 'the batches alone', b['ours RNN'], b['fastai RNN'], 'fastai'),
             pairs.row('words_share', "the batches' share of our shorter epoch", b['ours RNN'], e['ours RNN'], 'our epoch', .01)]
    return rows, dict(bs=BS, bptt=BPTT, sizes=res['params'])

def main():
    a = pairs.parse(pairs.parser(__doc__, '05'))
    if a.inside: return pairs.inside(a, measure)
    pairs.run(a, lambda python: compare(a, python), ('torch', 'fastai', 'lesson7_lib'))

if __name__ == '__main__': main()
