#!/usr/bin/env python3
"""Measure one epoch of a language model on words, with validation: ours beside fastai's loader and Learner at the same model.

Uses the environment of `run.py`. Both sides live in one process and take turns. `README.md` tells how to read the table."""
import argparse, gc, json, os, platform, shlex, statistics, subprocess, sys, tempfile, time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
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
def inside(a):
    "What runs in the environment's Python: seconds of epochs and of batching, the sides in turn, one round thrown away"
    import torch
    torch.set_num_threads(a.threads)
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
    Path(a.to).write_text(json.dumps(dict(seconds=res, params=params)))


# ---------------------------------------------------------------- outside
def rows_of(seconds):
    "One row for each comparison"
    from run import middle
    e, b = [{k: v[what] for k, v in seconds.items()} for what in ('epoch', 'batches')]
    rows = [(f'words_epoch_{k.lower()}', f'{title} on human numbers, one epoch', e[f'ours {k}'], 'fastai', e[f'fastai {k}'], .6)
            for k, title in dict(RNN='RNN, one layer,', GRU='GRU, two layers,').items()]
    rows += [('words_batches', 'the batches alone', b['ours RNN'], 'fastai', b['fastai RNN'], None),
             ('words_share', "the batches' share of our shorter epoch", b['ours RNN'], 'our epoch', e['ours RNN'], .01)]
    res = []
    for key, title, x, rival, y, limit in rows:
        row = dict(key=key, title=title, ours=statistics.median(x), rival=rival, theirs=statistics.median(y),
                   ratio=middle([p/q for p, q in zip(x, y)]), raw=[x, y])
        if limit is not None: row['target'] = dict(rival=rival, limit=limit, met=row['ratio']['median'] <= limit)
        res.append(row)
    return res

def table(rows):
    "The rows as text"
    from run import human
    out = [['what', 'ours', 'against', '', 'ratio', 'target', '']]
    for r in rows:
        t, q = r.get('target'), r['ratio']
        out.append([r['title'], human(r['ours']), r['rival'], human(r['theirs']), '{median:.3f} ({low:.3f}-{high:.3f})'.format(**q),
                    f"<= {t['limit']}" if t else '', ('ok' if t['met'] else 'MISSED') if t else ''])
    wide = [max(map(len, c)) for c in zip(*out)]
    lines = ['  '.join(c.ljust(w) for c, w in zip(r, wide)).rstrip() for r in out]
    return '\n'.join([lines[0], '  '.join('-'*w for w in wide), *lines[1:]])

def versions(python):
    code = ("import importlib.metadata as m, json, sys; print(json.dumps({o: m.version(o) for o in ('torch','fastai','lesson7_lib')} | "
            "dict(python=sys.version.split()[0])))")
    return json.loads(subprocess.run([python, '-c', code], capture_output=True, text=True, check=True, cwd=tempfile.gettempdir()).stdout)

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--quick', action='store_true', help='few rounds: a look, not a figure to quote')
    p.add_argument('--out', type=Path, default=HERE.parent/'results', help="folder for benchmark_05.json (default: the checkout's results/)")
    p.add_argument('--cache', type=Path, default=Path(os.environ.get('LESSON7_CACHE', Path.home()/'.lesson7'))/'benchmark',
                   help="folder for the environment (default: benchmark/ in the library's cache)")
    p.add_argument('--python', default=None, help='a Python that has fastai and torch, used instead of making an environment')
    p.add_argument('--threads', type=int, default=2, help='torch threads (default: 2)')
    p.add_argument('--rounds', type=int, default=None, help='rounds (default: 9; quick: 3)')
    p.add_argument('--check', action='store_true', help='exit with 1 if a target is missed')
    p.add_argument('--inside', action='store_true', help=argparse.SUPPRESS)
    p.add_argument('--to', help=argparse.SUPPRESS)
    a = p.parse_args()
    a.rounds = a.rounds or (3 if a.quick else 9)
    if a.inside: return inside(a)
    from run import make_env
    start, a.cache = time.time(), a.cache.resolve()
    a.cache.mkdir(parents=True, exist_ok=True)
    python = str(make_env(a.cache, a.python))
    with tempfile.TemporaryDirectory() as d:
        to = Path(d)/'res.json'
        cmd = [python, str(HERE/'text.py'), '--inside', '--to', str(to), '--threads', str(a.threads), '--rounds', str(a.rounds)]
        env = {k: v for k, v in os.environ.items() if k not in ('PYTHONPATH', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS')}
        env.update(CUDA_VISIBLE_DEVICES='', OMP_NUM_THREADS=str(a.threads), PYTHONWARNINGS='ignore', MPLBACKEND='agg', CI='1')
        r = subprocess.run(cmd, env=env, capture_output=True, text=True, cwd=d)
        if r.returncode: raise SystemExit(f'the measurement failed:\n{r.stderr[-3000:]}')
        res = json.loads(to.read_text())
    if any(res['params'][f'ours {k}'] != res['params'][f'fastai {k}'] for k in ('RNN', 'GRU')): raise SystemExit(f"not the same model: {res['params']}")
    rows = rows_of(res['seconds'])
    met = [r['target']['met'] for r in rows if 'target' in r]
    load = os.getloadavg()[0] if hasattr(os, 'getloadavg') else None
    info = Path('/proc/cpuinfo').read_text() if Path('/proc/cpuinfo').exists() else ''
    cpu = next((l.split(':', 1)[1].strip() for l in info.splitlines() if l.startswith('model name')), platform.processor())
    words = [Path(o).name if os.path.isabs(o) else o for o in sys.argv[1:]]
    rec = dict(lesson='benchmark', metric='05', value=sum(met), unit=f'of {len(met)} targets met', date=time.strftime('%Y-%m-%d'), device='cpu', cpu=cpu,
               cores=os.cpu_count(), threads=a.threads, load_at_end=load, seconds=time.time()-start, rounds=a.rounds, quick=a.quick,
               versions=versions(python), sizes=res['params'], command=shlex.join(['python', 'benchmarks/text.py', *words]), rows=rows)
    a.out.mkdir(parents=True, exist_ok=True)
    fn = a.out/'benchmark_05.json'
    fn.write_text(json.dumps(rec, indent=1)+'\n')
    print(table(rows))
    print(f'\nRatios: median (quartiles) over {a.rounds} rounds. bs {BS}, bptt {BPTT}, {a.threads} thread(s), validation included.')
    if load and load > 3: print(f'The machine was busy (load {load:.1f}): measure again when it is quiet.')
    print(f'Written: {fn.name} ({rec["seconds"]:.0f} s)')
    if a.check and not all(met): raise SystemExit('Missed: ' + '; '.join(r['title'] for r in rows if 'target' in r and not r['target']['met']))

if __name__ == '__main__': main()
