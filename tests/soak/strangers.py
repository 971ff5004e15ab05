"""Files from strangers: valid exports and checkpoints, changed at random, are loaded; what happens is counted.

    python tests/soak/strangers.py --n 300 --seed 0

Each change is either one of a field, after which the file is well-formed again (with a right checksum), or one of
bytes. Loading may end in two ways: the file is refused with a `CheckpointError`, and the learner is as it was; or it
is loaded. Everything else is a fault: another class of error, a change in spite of a refusal, more than two seconds,
the end of the process, a program that is started, a file written outside. Files are loaded in a child process with a
limit of memory.
"""

import argparse
import copy
import json
import math
import multiprocessing
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from functools import partial
from pathlib import Path

import torch
from safetensors import safe_open
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lesson7_lib.core import checkpoint
from lesson7_lib.core.callback import Callback, NonFiniteLoss
from lesson7_lib.core.checkpoint import CheckpointError, load_tensors, load_weights, save_tensors
from lesson7_lib.core.databunch import DataBunch
from lesson7_lib.core.env import set_seed
from lesson7_lib.core.items import ItemLists
from lesson7_lib.core.learner import Learner, load_learner
from lesson7_lib.core.table_data import Categorify, FillMissing, Normalize, TabularList

SLOW = 2.0  # seconds
MEMORY = 6 << 30  # bytes of address space; PyTorch itself takes more than two
NAMES = ['resnet_mnist', 'CharSeqStatefulLSTM', 'DynamicUnet', 'FastUnet', 'TodayCifar', 'create_head', 'TabularModel']


class Slow(BaseException):
    "Out of time; no `except Exception` takes it."


class Cut(Exception):
    "A training ends here."


class CutOff(Callback):
    order = 99.5

    def on_epoch_end(self):
        raise Cut


STARTS = {
    'os.system',
    'os.exec',
    'os.posix_spawn',
    'os.fork',
    'subprocess.Popen',
    'socket.connect',
    'pickle.find_class',
}
CHANGES = {'os.mkdir', 'os.remove', 'os.rename', 'os.rmdir', 'os.symlink', 'os.link', 'os.chmod', 'os.truncate'}

# --- valid files


def numbers():
    g = torch.Generator().manual_seed(0)
    return DataBunch.from_tensors(torch.randn(8, 4, generator=g), torch.arange(8) % 3, classes=range(3), bs=4)


def learner(path, make=None):
    set_seed(0)
    net = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 3)) if make is None else make()
    return Learner(numbers(), net, path=path, silent=True)


def table():
    rows = dict(n=[1.0, None, 3.0, 4.0] * 4, w=['a', 'b', 'c', 'a'] * 4, y=['no', 'yes'] * 8)
    items = TabularList.from_df(rows, cat_names=['w'], cont_names=['n'], procs=[FillMissing, Categorify, Normalize])
    return items.split_by_idx(range(12, 16)).label_from_df('y').databunch(bs=4)


def texts():
    from lesson7_lib.text.text_list import TextList

    lists = [TextList([o], min_freq=1) for o in ('one two three four five ' * 12, 'two four one ' * 8)]
    return ItemLists('.', *lists).label_for_lm().databunch(bs=2, bptt=8)


def pictures(path):
    from PIL import Image

    from lesson7_lib.vision.image_data import ImageList
    from lesson7_lib.vision.transforms import get_transforms

    for i in range(8):
        file = path / 'pictures' / 'ab'[i % 2] / f'{i}.png'
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new('RGB', (16, 16), (i * 30, 10, 200)).save(file)
    items = ImageList.from_folder(path / 'pictures').split_by_idx([6, 7]).label_from_folder()
    return items.transform(get_transforms(), size=16).databunch(bs=2).normalize()


def models():
    "Some architectures of the library, and PyTorch's layers with weights that are tied and normed."
    import test_checkpoint as examples

    res = {name: partial(examples.EXAMPLES[name][0], examples.ARCHITECTURES[name]) for name in NAMES}

    def tied():
        one, two = nn.Linear(4, 4), nn.Linear(4, 4)
        two.weight = one.weight
        return nn.Sequential(one, two, nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), nn.LSTM(3, 2, 2))

    return {**res, 'tied': tied}


def make_files(path):
    "Valid files: name -> (kind, file)."
    res = {}
    for name, make in models().items():
        res[name] = ('export', learner(path, make).export(f'e-{name}'))
    import test_checkpoint as examples

    text = texts()
    words = examples.LanguageModel(len(text.vocab), 8, cell='GRU')
    others = dict(
        texts=(text, words),
        table=(table(), nn.Linear(1, 2)),
        pictures=(pictures(path), nn.Sequential(nn.Flatten(), nn.Linear(768, 2))),
    )
    for name, (data, net) in others.items():
        res[f'{name} with data'] = ('export', Learner(data, net, path=path, silent=True).export(f'd-{name}'))
    one = learner(path)
    one.fit(1)
    res['checkpoint'] = ('checkpoint', one.save('point', return_path=True))
    try:
        learner(path).fit(2, resume='going', callbacks=[CutOff()])
    except Cut:
        pass
    res['resume'] = ('resume', learner(path).checkpoint_path('going'))
    return {k: (kind, f / 'learner.safetensors' if f.is_dir() else f) for k, (kind, f) in res.items()}


# --- changes

WORDS = ['', 'x', 'weight', 'momentum', 'extra_repr', '0.weight', 'Linear', 'LSTM', 'Transformer', 'ReLU', 'Module']
WORDS += ['ResBlock', 'DataParallel', 'LazyLinear', 'F.relu', 'torch.exp', 'TabularList', 'SegmentationLabelList']
WORDS += ['__class__', 'cpu', 'cuda', 'meta', 'a.b', '../x', '\ud800', 'é' * 1000]
NUMBERS = [0, 1, -1, 2, 3, 7, 100, 20_000, 10**6, 2**31, 2**63, 10**30, 0.5, -0.5, 1e308, math.nan, math.inf, True]


def deep(n, rnd):
    o = 0
    for _ in range(n):
        o = [o] if rnd.random() < 0.5 else {rnd.choice(['tuple', 'module', 'dict', 'a', 'd', 'l']): o}
    return o


def any_value(rnd, others):
    kind = rnd.choice(['word', 'number', 'none', 'empty', 'deep', 'other', 'list', 'many'])
    if kind == 'word':
        return rnd.choice(WORDS)
    if kind == 'number':
        return rnd.choice(NUMBERS)
    if kind == 'empty':
        return rnd.choice([[], {}, [[]], [{}]])
    if kind == 'deep':
        return deep(rnd.choice([3, 30, 300]), rnd)
    if kind == 'other':
        return copy.deepcopy(rnd.choice(others)[0])
    if kind == 'list':
        return [rnd.choice(NUMBERS), rnd.choice(WORDS)]
    return [rnd.choice([0, None, {}, 'x'])] * rnd.choice([10, 1000, 50_000]) if kind == 'many' else None


def places(o, res=None):
    "All (value, container, key) of a nested JSON value."
    res = [] if res is None else res
    pairs = o.items() if isinstance(o, dict) else enumerate(o) if isinstance(o, list) else ()
    for k, v in list(pairs):
        res.append((v, o, k))
        places(v, res)
    return res


def alter(o, rnd):
    "Change one to three places of a nested JSON value."
    for _ in range(rnd.choice([1, 1, 1, 2, 3])):
        found = places(o)
        if not found:
            return o
        v, where, key = rnd.choice(found)
        what = rnd.choice(['value', 'value', 'value', 'gone', 'more', 'near'])
        if what == 'gone':
            del where[key]
        elif what == 'more' and isinstance(where, list):
            where.insert(key, rnd.choice([copy.deepcopy(v), any_value(rnd, found)]))
        elif what == 'more':
            where[
                rnd.choice([*WORDS, 'device', 'dtype', 'num_layers', 'args', 'kwargs', 'norms', 'children', 'same'])
            ] = any_value(rnd, found)
        elif what == 'near' and isinstance(v, (int, float)):
            where[key] = v * rnd.choice([-1, 2, 1000, 10**6]) + rnd.choice([0, 1, -1])
        else:
            where[key] = any_value(rnd, found)
    return o


def alter_tensors(ts, rnd):
    key = rnd.choice(sorted(ts))
    t = ts[key]
    what = rnd.choice(['nan', 'shape', 'type', 'gone', 'name', 'plain', 'size'])
    if what == 'nan' and t.is_floating_point() and t.numel():
        ts[key] = t.clone().fill_(rnd.choice([math.nan, math.inf, -1.0]))
    elif what == 'shape':
        ts[key] = t[None] if rnd.random() < 0.5 else t.reshape(-1)
    elif what == 'type':
        ts[key] = t.to(rnd.choice([torch.float16, torch.int64, torch.bool, torch.uint8, torch.float64]))
    elif what in ('gone', 'name'):
        del ts[key]
        if what == 'name':
            ts[
                rnd.choice([key + 'x', 'x', 'model/x', 'opt/x/y', 'rng/x', 'hidden/x/y', 'loader/train/x', 'cb/9/x'])
            ] = t
    elif what == 'size':
        ts[key] = torch.cat([t, t]) if t.ndim else torch.stack([t, t])
    else:
        ts[key] = rnd.choice([None, 0, 'x', [], {}, [t], {'a': t}])
    return ts


def with_tree(file, change):
    "The file with another tree, and a right checksum."
    with safe_open(file, 'pt') as f:
        head = f.metadata()
        flat = {k: f.get_tensor(k).clone() for k in f.keys()}
    change(head)
    head['crc32'] = checkpoint._checksum(head, flat)
    with open(file, 'wb') as f:
        checkpoint._write(f, flat, head)


def change_head(rnd, head):
    key = rnd.choice(['tree', 'tree', 'tree', 'meta', 'version', 'made_by'])
    if key in ('tree', 'meta') and rnd.random() < 0.8:
        head[key] = json.dumps(alter(json.loads(head[key]), rnd))
    elif rnd.random() < 0.3:
        head.pop(key)
    else:
        texts = [
            '',
            '-1',
            '1.5',
            'x',
            '1' * 5000,
            'NaN',
            'null',
            '[]',
            '{}',
            '[' * 3000,
            '{"d":1}',
            '{"t":"x"}',
            '\ud7ff',
        ]
        head[key] = rnd.choice(texts)


def change_bytes(data, rnd):
    data = bytearray(data)
    n = len(data)
    for _ in range(rnd.choice([1, 1, 3, 20])):
        i = rnd.randrange(min(len(data), rnd.choice([9, 300, n])) or 1)
        what = rnd.choice(['flip', 'byte', 'cut', 'gone', 'more'])
        if what == 'cut':
            del data[i + 1 :]
        elif what == 'gone':
            del data[i : i + rnd.choice([1, 8, 100])]
        elif what == 'more':
            data[i:i] = bytes(rnd.choice([1, 8, 100]))
        elif i < len(data):
            data[i] = data[i] ^ (1 << rnd.randrange(8)) if what == 'flip' else rnd.randrange(256)
        if not data:
            break
    return bytes(data)


def mutate(file, whole, rnd):
    "Write a changed copy of the bytes `whole` to `file`; in words, what was done."
    file.write_bytes(whole)
    what = rnd.choice(['meta', 'meta', 'meta', 'meta', 'tensors', 'head', 'bytes'])
    if what == 'bytes':
        file.write_bytes(change_bytes(whole, rnd))
    elif what == 'head':
        with_tree(file, partial(change_head, rnd))
    else:
        ts, meta = load_tensors(file)
        if what == 'meta':
            meta = alter([meta], rnd)
            meta = meta[0] if len(meta) == 1 else meta
        else:
            ts = alter_tensors(ts, rnd)
        save_tensors(file, ts, meta)
    return what


# --- loading


def snapshot(learn):
    opt = None if learn.opt is None else str(learn.opt.state_dict())
    return [v.clone() for v in learn.model.state_dict().values()], opt, [list(o) for o in (learn.recorder.rows,)]


def same(a, b):
    return a[1:] == b[1:] and all(torch.equal(x, y) for x, y in zip(a[0], b[0], strict=True))


def load(kind, file, rnd):
    "Load as its owner would; 'refused' or 'loaded'. Raises what loading raises."
    if kind == 'weights':
        try:
            load_weights(file)
        except CheckpointError:
            return 'refused'
        return 'loaded'
    if kind == 'export':
        try:
            load_learner(file)
        except CheckpointError:
            return 'refused'
        return 'loaded'
    path = file.parent.parent
    learn = learner(path)
    if kind == 'checkpoint' and rnd.random() < 0.5:
        learn.create_opt([1e-3])
    before = snapshot(learn)
    try:
        if kind == 'checkpoint':
            learn.load(file.stem, with_opt=rnd.choice([None, True, False]))
        else:
            learn.fit(2, resume=file.stem)
    except CheckpointError:
        after = snapshot(learn)
        if kind == 'resume':  # `fit` makes an optimiser first
            before, after = (before[0], None, before[2]), (after[0], None, after[2])
        assert same(before, after), 'changed in spite of a refusal'
        return 'refused'
    except NonFiniteLoss:  # the weights were NaN, which a warning has said; the training ends with the reason
        return 'loaded'
    return 'loaded'


class Watch:
    "Notes programs that are started, and files that are changed outside `folder`."

    def __init__(self, folder):
        self.folder, self.on, self.seen = os.path.realpath(folder), False, []
        sys.addaudithook(self)

    def __call__(self, event, args):
        if not self.on:
            return
        if event in STARTS:
            self.seen.append(f'{event} {args!s:.60}')
        writes = event == 'open' and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if (writes or event in CHANGES and -1 in args[1:]) and isinstance(args[0], (str, bytes, os.PathLike)):
            if not os.path.realpath(os.fsdecode(args[0])).startswith(self.folder):
                self.seen.append(f'{event} {args!s:.60}')


def out_of_time(*_):
    raise Slow


def one(kind, file, whole, seed, watch):
    "Change and load once: a dictionary with what happened."
    rnd = random.Random(seed)
    what = mutate(file, whole, rnd)
    if rnd.random() < 0.1:
        kind = 'weights'
    signal.signal(signal.SIGALRM, out_of_time)
    start = time.perf_counter()
    used = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.setitimer(signal.ITIMER_REAL, 10 * SLOW)
    why = ''
    watch.on = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            end = load(kind, file, rnd)
    except Slow:
        end = 'slow'
    except Exception as e:
        end = 'raw'
        at = traceback.extract_tb(e.__traceback__)[-1]
        why = f'{type(e).__name__}: {str(e)[:90]} ({Path(at.filename).name}:{at.lineno})'
    finally:
        watch.on = False
        signal.setitimer(signal.ITIMER_REAL, 0)
    took = time.perf_counter() - start
    cpu = time.process_time() - used  # of this process: others may keep the machine busy
    if cpu > SLOW:
        end = 'slow'
    if watch.seen:
        end, why = 'outside', watch.seen.pop()
        watch.seen.clear()
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10  # the most so far, bytes
    return dict(what=what, kind=kind, end=end, why=why, took=took, cpu=cpu, memory=memory, seed=seed)


def some(path, jobs, out):
    "In a child process: one line of JSON for each job."
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    torch.set_num_threads(1)
    sys.dont_write_bytecode = True
    watch = Watch(path)
    with open(out, 'a') as f:
        for name, kind, file, seed in jobs:
            whole = Path(file).read_bytes()
            changed = path / 'changed' / 'models' / 'changed.safetensors'
            changed.parent.mkdir(parents=True, exist_ok=True)
            f.write(json.dumps(dict(one(kind, changed, whole, seed, watch), name=name)) + '\n')
            f.flush()


def run(n, seed=0, names=None, log=None):
    "Load `n` changed files: list of dictionaries. With the file `log`, what it holds of an earlier run is not repeated."
    with tempfile.TemporaryDirectory() as tmp:
        path = Path(tmp)
        files = {k: v for k, v in make_files(path).items() if names is None or k in names}
        rnd = random.Random(seed)
        keys = [rnd.choice(sorted(files)) for _ in range(n)]
        jobs = [(k, files[k][0], str(files[k][1]), seed * 1_000_000 + i) for i, k in enumerate(keys)]
        out = log or path / 'out.jsonl'
        out.touch()
        res = [json.loads(o) for o in out.read_text().splitlines()]
        while len(res) < len(jobs):  # a new child goes on where one has ended
            child = multiprocessing.get_context('fork').Process(target=some, args=(path, jobs[len(res) :], out))
            child.start()
            child.join()
            res = [json.loads(o) for o in out.read_text().splitlines()]
            if len(res) < len(jobs):
                job = jobs[len(res)]
                res.append(
                    dict(what='?', kind=job[1], end='crash', why=f'exit {child.exitcode}', took=0, cpu=0, seed=job[3])
                )
                res[-1]['name'] = job[0]
                with open(out, 'a') as f:
                    f.write(json.dumps(res[-1]) + '\n')
    return res


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--n', type=int, default=300, help='number of changed files')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--names', nargs='*', help='only these valid files')
    parser.add_argument('--save', type=Path, help='write the counts to this JSON file')
    args = parser.parse_args()
    res = run(args.n, args.seed, args.names)
    counts = Counter(o['end'] for o in res)
    print(dict(counts))
    print(f'longest {max(o["took"] for o in res):.2f} s')
    for (name, what, why), k in Counter((o['name'], o['what'], o['why']) for o in res if o['why']).most_common(60):
        print(f'{k:4} {name}: {what}: {why}')
    for o in res:
        if o['end'] in ('slow', 'crash'):
            print(o)
    if args.save:
        args.save.write_text(json.dumps(dict(n=args.n, seed=args.seed, **counts), indent=1))


if __name__ == '__main__':
    main()
