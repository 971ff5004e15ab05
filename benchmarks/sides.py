"""The same work three times: by this library, by a hand-written loop, by fastai v2. `run.py` starts this file in
the environment it made."""

import argparse
import gc
import json
import os
import random
import statistics
import sys
import time
from functools import partial
from math import cos, pi
from pathlib import Path

BS, WD, LR, BETA2 = 128, 1e-2, 0.02, 0.99
MEAN, STD = 0.15, 0.3  # the same constants for everybody: what is measured is time, not accuracy


# ---------------------------------------------------------------- models and data, the same for everybody
def lesson_cnn():
    "The lecture's basic CNN (12126 parameters): five stride-2 convolutions with batch norm, 28-14-7-4-2-1."
    from torch import nn

    chans, layers = [1, 8, 16, 32, 16, 10], []
    for i, (ni, nf) in enumerate(zip(chans, chans[1:])):
        layers += [nn.Conv2d(ni, nf, kernel_size=3, stride=2, padding=1), nn.BatchNorm2d(nf)] + (
            [nn.ReLU()] if i < 4 else []
        )
    return nn.Sequential(*layers, nn.Flatten())


def tiny_model():
    "One linear layer: what is left is the cost of the loop itself."
    from torch import nn

    return nn.Linear(10, 2)


def tensors(n, shape, n_classes):
    "`n` random inputs of `shape` and their labels."
    import torch

    g = torch.Generator().manual_seed(42)
    return torch.randn(n, *shape, generator=g), torch.randint(0, n_classes, (n,), generator=g)


class Ready(list):
    "Ready-made batches: with them nothing but the loop is timed."

    device, after_batch = 'cpu', []

    def __init__(self, n, bs, shape, n_classes):
        from torch.utils.data import TensorDataset

        x, y = tensors(n * bs, shape, n_classes)
        super().__init__(zip(x.split(bs), y.split(bs)))
        self.dataset, self.bs = TensorDataset(x, y), bs


# ---------------------------------------------------------------- the hand-written loop
def one_cycle(n, lr, div=25.0, final_div=2.5e5, pct_start=0.3, moms=(0.95, 0.85)):
    "lr and momentum for each of `n` batches, computed before the loop starts"
    k = max(int(n * pct_start), 1)
    anneal = lambda a, b, pct: b + (a - b) / 2 * (cos(pi * pct) + 1)
    up, down = [i / k for i in range(k)], [i / max(n - k, 1) for i in range(n - k)]
    lrs = [anneal(lr / div, lr, p) for p in up] + [anneal(lr, lr / final_div, p) for p in down]
    return lrs, [anneal(*moms, p) for p in up] + [anneal(*moms[::-1], p) for p in down]


class HandLoop:
    """What a careful person writes: fused AdamW, one-cycle lr and momentum, a running loss without a sync, loss
    and accuracy in validation"""

    def __init__(self, model, train, valid):
        from torch import nn, optim

        self.model, self.train, self.valid, self.loss_func = model, train, valid, nn.CrossEntropyLoss()
        self.opt = optim.AdamW(model.parameters(), lr=LR, betas=(0.95, BETA2), weight_decay=WD, fused=True)

    def fit(self, lr=LR):
        import torch

        model, opt, loss_func = self.model, self.opt, self.loss_func
        lrs, moms = one_cycle(len(self.train), lr)
        running = torch.zeros(())
        model.train()
        for (xb, yb), lr, mom in zip(self.train, lrs, moms):
            for g in opt.param_groups:
                g['lr'], g['betas'] = lr, (mom, BETA2)
            loss = loss_func(model(xb), yb)
            loss.backward()
            opt.step()
            opt.zero_grad()
            running.lerp_(loss.detach(), 0.02)
        model.eval()
        total, right, n = 0.0, 0, 0
        with torch.no_grad():
            for xb, yb in self.valid:
                out = model(xb)
                total, right, n = (
                    total + loss_func(out, yb) * len(yb),
                    right + (out.argmax(-1) == yb).sum(),
                    n + len(yb),
                )
        return running.item(), float(total / n), float(right / n)


class HandBatches:
    "Batches of tensors by `index_select`, which is several times faster than `x[idx]`"

    def __init__(self, x, y, bs, train):
        self.x, self.y, self.bs, self.train = x, y, bs, train

    def __len__(self):
        return len(self.x) // self.bs if self.train else -(-len(self.x) // self.bs)

    def __iter__(self):
        import torch

        idxs = torch.randperm(len(self.x)) if self.train else torch.arange(len(self.x))
        for i in idxs.split(self.bs)[: len(self)]:
            yield self.x.index_select(0, i), self.y.index_select(0, i)


def hand_folder(path, workers):
    """A torch `Dataset` that opens, pads and crops each picture, and a `DataLoader`; batches are made float and
    normalised as a whole."""
    import numpy as np
    import torch
    from PIL import Image
    from torch.utils.data import DataLoader, Dataset

    classes = sorted(o.name for o in (path / 'training').iterdir() if o.is_dir())

    class Pictures(Dataset):
        def __init__(self, name):
            self.train = name == 'training'
            self.items = [(f, i) for i, c in enumerate(classes) for f in sorted((path / name / c).glob('*.png'))]

        def __len__(self):
            return len(self.items)

        def __getitem__(self, i):
            f, y = self.items[i]
            x = np.array(Image.open(f))
            if self.train:
                r, c = random.randint(0, 6), random.randint(0, 6)
                x = np.pad(x, 3)[r : r + 28, c : c + 28]
            return torch.from_numpy(x)[None], y

    class Normed:
        def __init__(self, dl):
            self.dl = dl

        def __len__(self):
            return len(self.dl)

        def __iter__(self):
            return ((x.float().div_(255).sub_(MEAN).div_(STD), y) for x, y in self.dl)

    kw = dict(batch_size=BS, num_workers=workers, persistent_workers=workers > 0)
    train, valid = (
        DataLoader(Pictures('training'), shuffle=True, drop_last=True, **kw),
        DataLoader(Pictures('testing'), **kw),
    )
    loop = HandLoop(lesson_cnn(), Normed(train), Normed(valid))
    return loop.fit


# ---------------------------------------------------------------- fastai v2
def fastai_learner(dls, model):
    "A fastai `Learner` as its users make it, its bar and its table switched off"
    import fastai.callback.schedule  # noqa: F401 (patches fit_one_cycle)
    from fastai.callback.progress import ProgressCallback
    from fastai.learner import Learner
    from fastai.metrics import accuracy
    from torch import nn

    learn = Learner(dls, model, loss_func=nn.CrossEntropyLoss(), metrics=accuracy, wd=WD)
    learn.remove_cbs([o for o in learn.cbs if isinstance(o, ProgressCallback)])
    learn.logger = lambda *args: None
    return learn


def fastai_fit(dls, model):
    learn = fastai_learner(dls, model)
    return lambda: learn.fit_one_cycle(1, LR)


def fastai_folder(path, workers):
    """A `DataBlock` with the same augmentation: padded by 3 with zeros, cropped at a random place, training
    pictures only"""
    from fastai.data.all import (
        CategoryBlock,
        DataBlock,
        GrandparentSplitter,
        IntToFloatTensor,
        Normalize,
        get_image_files,
        parent_label,
    )
    from fastai.vision.augment import CropPad, PadMode, RandomCrop
    from fastai.vision.core import PILImageBW
    from fastai.vision.data import ImageBlock

    item_tfms = [CropPad(34, pad_mode=PadMode.Zeros), RandomCrop(28)]
    for o in item_tfms:
        o.split_idx = 0
    batch_tfms = [IntToFloatTensor(), Normalize.from_stats([MEAN], [STD], cuda=False)]
    db = DataBlock(
        blocks=(ImageBlock(PILImageBW), CategoryBlock),
        get_items=get_image_files,
        get_y=parent_label,
        splitter=GrandparentSplitter('training', 'testing'),
        item_tfms=item_tfms,
        batch_tfms=batch_tfms,
    )
    return fastai_fit(db.dataloaders(path, bs=BS, num_workers=workers, device='cpu'), lesson_cnn())


def fastai_memory(xs, model):
    "Tensors in memory, the ordinary way: a `TensorDataset` and fastai's own loaders"
    from fastai.data.core import DataLoaders
    from torch.utils.data import TensorDataset

    (x, y), (xv, yv) = xs
    return fastai_fit(
        DataLoaders.from_dsets(TensorDataset(x, y), TensorDataset(xv, yv), bs=BS, num_workers=0, device='cpu'), model
    )


def fastai_loop(train, valid, model):
    from fastai.data.core import DataLoaders

    return fastai_fit(DataLoaders(train, valid, device='cpu'), model)


# ---------------------------------------------------------------- this library
def ours_fit(data, model):
    from torch import nn

    from lesson7_lib.core.learner import Learner
    from lesson7_lib.core.metrics import accuracy

    learn = Learner(data, model, loss_func=nn.CrossEntropyLoss(), metrics=accuracy, wd=WD, silent=True)
    return lambda: learn.fit_one_cycle(1, LR)


def ours_data(path, bs=BS):
    "The lecture's chain, as it is typed there"
    from lesson7_lib.vision.image_data import ImageItemList
    from lesson7_lib.vision.transforms import rand_pad

    tfms = ([*rand_pad(padding=3, size=28, mode='zeros')], [])
    ll = (
        ImageItemList.from_folder(path, convert_mode='L')
        .split_by_folder(train='training', valid='testing')
        .label_from_folder()
    )
    return ll.transform(tfms).databunch(bs=bs).normalize()


def ours_folder(path):
    return ours_fit(ours_data(path), lesson_cnn())


def ours_memory(xs, model):
    from lesson7_lib.core.databunch import DataBunch

    (x, y), (xv, yv) = xs
    return ours_fit(DataBunch.from_tensors(x, y, xv, yv, bs=BS), model)


def ours_loop(train, valid, model):
    from lesson7_lib.core.databunch import DataBunch

    return ours_fit(DataBunch(train, valid), model)


# ---------------------------------------------------------------- measuring
def clock(f):
    "Seconds that `f()` takes, and what it returns"
    gc.collect()
    t = time.perf_counter()
    res = f()
    return time.perf_counter() - t, res


def interleave(sides, rounds, warm=1):
    """Runs `sides` (name -> function that returns a dict of seconds) in turn, `rounds` times, first in turn
    someone else each time"""
    res, names = {k: [] for k in sides}, list(sides)
    for r in range(-warm, rounds):
        for k in names[r % len(names) :] + names[: r % len(names)]:
            o = sides[k]()
            if r >= 0:
                res[k].append(o)
    return {m: {k: [o[m] for o in v] for k, v in res.items()} for m in res[names[0]][0]}


def measure_folder(a):
    "From the folder's name to the end of the first epoch, and the epochs after it"
    path, later = Path(a.data), 2

    def timed(make):
        def _f():
            t, fit = clock(lambda: (lambda fit: (fit(), fit)[1])(make()))
            return dict(first=t, later=statistics.median(clock(fit)[0] for _ in range(later)))

        return _f

    sides = dict(
        ours=timed(partial(ours_folder, path)),
        hand=timed(partial(hand_folder, path, 0)),
        hand_2w=timed(partial(hand_folder, path, 2)),
        fastai=timed(partial(fastai_folder, path, 0)),
        fastai_2w=timed(partial(fastai_folder, path, 2)),
    )
    res = interleave({k: v for k, v in sides.items() if k.split('_')[0] in a.sides}, a.rounds, warm=1)
    return {f'folder_{k}': v for k, v in res.items()}


def measure_memory(a):
    "One epoch on tensors that are in memory already, with each side's own loader"
    n = a.n // BS * BS
    xs = tensors(n, (1, 28, 28), 10), tensors(max(n // 6, BS), (1, 28, 28), 10)
    hand = lambda: HandLoop(lesson_cnn(), HandBatches(*xs[0], BS, True), HandBatches(*xs[1], BS, False)).fit
    fits = dict(ours=lambda: ours_memory(xs, lesson_cnn()), hand=hand, fastai=lambda: fastai_memory(xs, lesson_cnn()))
    fits = {k: v() for k, v in fits.items() if k in a.sides}
    return interleave({k: (lambda f=f: dict(memory=clock(f)[0])) for k, f in fits.items()}, a.rounds * 2)


def measure_loop(a):
    "Cost of a batch: everybody gets the same list of ready-made batches"
    out = {}
    for name, model, bs, n, shape, c in (
        ('tiny', tiny_model, 64, 1000, (10,), 2),
        ('cnn', lesson_cnn, BS, 40, (1, 28, 28), 10),
    ):
        if a.quick:
            n //= 2
        train, valid = Ready(n, bs, shape, c), Ready(1, bs, shape, c)
        fits = dict(
            ours=lambda: ours_loop(train, valid, model()),
            hand=lambda: HandLoop(model(), train, valid).fit,
            fastai=lambda: fastai_loop(train, valid, model()),
        )
        fits = {k: v() for k, v in fits.items() if k in a.sides}
        out.update(
            interleave(
                {k: (lambda f=f: {f'loop_{name}': clock(f)[0] / n}) for k, f in fits.items()}, a.rounds * 3, warm=2
            )
        )
    return out


def rss():
    "Resident bytes of this process now (Linux), and its peak"
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024)
    try:
        now = int(Path('/proc/self/statm').read_text().split()[1]) * resource.getpagesize()
    except OSError:
        now = peak
    return now, peak


def trimmed():
    "Resident bytes after garbage is collected and freed memory is given back"
    import ctypes

    gc.collect()
    try:
        ctypes.CDLL('libc.so.6').malloc_trim(0)
    except (OSError, AttributeError):
        pass
    return rss()[0]


def measure_rss(a):
    "How much a process grows when it holds the whole set: the chain, one pass over all pictures"
    small = ours_data(Path(a.data).parent / 'warm')  # code, codecs and threads are loaded with a few pictures first
    for dl in (small.train_dl, small.valid_dl):
        for _ in dl:
            pass
    del small
    base = trimmed()
    data = ours_data(Path(a.data))
    for dl in (data.valid_dl, data.train_dl):
        for xb, yb in dl:
            pass
    raw = rss()[0]
    after, n = trimmed(), len(data.train_ds) + len(data.valid_ds)
    u8 = n * 28 * 28
    batch = xb.numel() * xb.element_size()
    return dict(
        rss=dict(
            pictures=n,
            uint8_bytes=u8,
            batch=batch,
            growth=after - base,
            growth_untrimmed=raw - base,
            peak=rss()[1] - base,
            ratio=(after - base) / (u8 + batch),
        )
    )


def make_pictures(a):
    """The folders of pictures: built-in digits in MNIST's layout; the big one is made of further names for the
    same pictures"""
    from lesson7_lib.synth.digits import make_digits

    path = Path(a.data)
    if not path.exists():
        make_digits(path, n_train=a.n, n_valid=a.n // 6)
    for name, n in (('warm', 256), ('many', a.many)):
        dest, files = path.parent / name, sorted((path / 'training').glob('*/*.png'))
        if not n or dest.exists():
            continue
        tmp = path.parent / f'.{name}.part'
        for i in range(n):
            f = files[i * len(files) // n] if n < len(files) else files[i % len(files)]
            to = tmp / ('testing' if i % 7 == 0 else 'training') / f.parent.name / f'{i}.png'
            to.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(f, to)
            except FileExistsError:
                pass
            except OSError:
                to.write_bytes(f.read_bytes())
        tmp.rename(dest)
    return {}


def check_package(a):
    """Every module imports here (fastcore 2), a small fit learns, and the hand-written loop ends with the same
    loss: it does the same work"""
    import importlib
    import pkgutil

    import fastcore
    import torch

    import lesson7_lib

    names = sorted(o.name for o in pkgutil.iter_modules(lesson7_lib.__path__) if not o.name.startswith('_'))
    for o in names:
        importlib.import_module(f'lesson7_lib.{o}')
    from torch import nn

    from lesson7_lib.core.learner import Learner
    from lesson7_lib.core.metrics import accuracy

    def data():
        torch.manual_seed(42)
        return ours_data(Path(a.data).parent / 'warm', bs=32)

    bunch, model = data(), lesson_cnn()
    learn = Learner(bunch, model, loss_func=nn.CrossEntropyLoss(), metrics=accuracy, wd=WD, silent=True)
    before = float(learn.validate()[0])
    for _ in range(8):
        learn.fit_one_cycle(1, LR)
    after = learn.recorder.val_losses[-1]
    if after > before * 0.7:
        raise AssertionError(f'the fit did not learn: loss {before:.3f} before, {after:.3f} after')
    bunch, model = data(), lesson_cnn()
    loop = HandLoop(model, bunch.train_dl, bunch.valid_dl)
    for _ in range(8):
        hand = loop.fit()[1]
    if abs(hand - after) > 1e-3 * after:
        raise AssertionError(f'not the same work: loss {after:.5f} with Learner, {hand:.5f} by hand')
    return dict(
        check=dict(modules=names, fastcore=fastcore.__version__, loss_before=before, loss_learner=after, loss_hand=hand)
    )


def save_result(a):
    "Write what `run.py` gathered through the library's own `results`"
    from run import save_with_library

    save_with_library(Path(a.data), Path(a.dest))
    return {}


WORK = dict(
    folder=measure_folder,
    memory=measure_memory,
    loop=measure_loop,
    rss=measure_rss,
    pictures=make_pictures,
    check=check_package,
    save=save_result,
)


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('work', choices=WORK)
    p.add_argument('--to', required=True, help='file the measured numbers are written to')
    p.add_argument('--data', default='', help='folder of pictures')
    p.add_argument('--dest', default='', help='result file')
    p.add_argument('--threads', type=int, default=2)
    p.add_argument('--rounds', type=int, default=5)
    p.add_argument('--n', type=int, default=6000, help='pictures')
    p.add_argument('--many', type=int, default=0, help='pictures of the big folder')
    p.add_argument('--sides', default='ours,hand,fastai', type=lambda s: s.split(','))
    p.add_argument('--quick', action='store_true')
    a = p.parse_args()
    res = {}
    if a.work in ('folder', 'memory', 'loop'):
        import torch

        if 'fastai' in a.sides:
            import fastai.vision.all  # noqa: F401 (imported before anything is timed)
        torch.set_num_threads(a.threads)
        torch.manual_seed(42)
    res = WORK[a.work](a)
    Path(a.to).write_text(json.dumps(res))


if __name__ == '__main__':
    main()
