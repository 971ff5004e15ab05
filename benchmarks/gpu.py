#!/usr/bin/env python3
"""Images per second of a training step on a GPU: the lecture's ResNet for digits, its U-Net, and a pair of steps of its GAN, in bfloat16. Ours, a loop
written by hand, and fastai's `to_bf16` where fastai is installed, all in one process and in turn.

`lesson7_experiment --gpu-suite` calls it last. `README.md` tells how to read the table."""

import argparse
import json
import statistics
import sys
import time
import warnings
from functools import partial
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import gan
import pairs
import sides
import unet

TARGET = 0.8  # of fastai's time
CLASSES = dict(cnn=10, unet=unet.N_CLASSES)


class OnDevice(sides.Ready):
    "Ready-made batches that are on the device: with them nothing but the steps is timed"

    def __init__(self, n, bs, shape, n_classes, device, mask):
        import torch

        x, y = torch.randn(bs, *shape), torch.randint(0, n_classes, (bs, *(shape[1:] if mask else ())))
        self.device, self.after_batch, self.bs = device, [], bs
        self.dataset = torch.utils.data.TensorDataset(x, y)
        list.__init__(self, [(x.to(device), y.to(device))] * n)


def network(part, side, size):
    "The network of a part; for the U-Net fastai has one of its own"
    if part == 'cnn':
        from lesson7_lib.resnet_mnist import resnet_mnist

        return resnet_mnist()
    return unet.fastai_same(size) if side == 'fastai' else unet.ours()


def loss_of(out, y):
    import torch
    import torch.nn.functional as F

    return F.cross_entropy(out.as_subclass(torch.Tensor).float(), y)


def ours(batches, model, compiled=False):
    "Our `Learner`: bfloat16, channels last, compiled or not"
    import torch

    from lesson7_lib.core.databunch import DataBunch
    from lesson7_lib.core.learner import Learner

    learn = Learner(
        DataBunch(batches, None), model.to(memory_format=torch.channels_last), loss_func=loss_of, silent=True
    )
    learn.to_bf16()
    if compiled:
        learn.model.compile()
    return partial(learn.fit, 1, 1e-4)


def hand(batches, model):
    "What a careful person writes"
    import torch

    model = model.to(batches.device).train()
    opt = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def fit():
        for x, y in batches:
            with torch.autocast(torch.device(batches.device).type, torch.bfloat16):
                loss = loss_of(model(x), y)
            loss.backward()
            opt.step()
            opt.zero_grad()

    return fit


def fastai(batches, model):
    "fastai's `Learner` after `to_bf16`"
    import fastai.callback.fp16  # noqa: F401 (patches to_bf16)
    from fastai.callback.progress import ProgressCallback
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner

    learn = Learner(
        DataLoaders(batches, batches[:1], device=batches.device), model.to(batches.device), loss_func=loss_of
    )
    learn.remove_cbs([o for o in learn.cbs if isinstance(o, ProgressCallback)])
    learn.logger = lambda *args: None
    learn.to_bf16()
    learn._do_epoch_validate = lambda *args, **kwargs: None  # steps only
    return partial(learn.fit, 1, 1e-4)


def synced(f):
    "`f()`, and how many seconds passed until the device had done it"

    def timed():
        start = time.perf_counter()
        f()
        pairs.sync()
        return time.perf_counter() - start

    return timed


def step_sides(part, a, device):
    "The sides of a part, each a function that returns the seconds of `a.steps` steps"
    shape, bs = ((1, 28, 28), a.bs_cnn) if part == 'cnn' else ((3, a.size, a.size), a.bs)
    batches = OnDevice(a.steps, bs, shape, CLASSES[part], device, mask=part == 'unet')
    makes = dict(ours=ours, ours_compiled=partial(ours, compiled=True), hand=hand, fastai=fastai)
    return {k: synced(make(batches, network(part, k, a.size))) for k, make in makes.items() if k in a.sides}, bs


def hand_gan(a, device):
    "The same pair of steps, written by hand"
    import torch
    import torch.nn.functional as F

    generator, critic = [o.to(device).train() for o in gan.networks(a.nf)]
    opts = [torch.optim.Adam(o.parameters(), lr=1e-4, betas=(0.0, 0.99), fused=True) for o in (critic, generator)]
    (x, x2), (y, y2) = [o.to(device).split(a.bs) for o in gan.tensors(a)]

    def answers(images, label):
        out = critic(images).float()
        return F.binary_cross_entropy_with_logits(out, torch.full_like(out, label))

    def pair():
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            with torch.no_grad():
                fake = generator(x)
            loss = answers(y, 1.0) / 2 + answers(fake, 0.0) / 2
        loss.backward()
        opts[0].step()
        opts[0].zero_grad()
        with torch.autocast(torch.device(device).type, torch.bfloat16):
            fake = generator(x2)
            loss = answers(fake, 1.0) + 50 * F.mse_loss(fake.float(), y2)
        loss.backward()
        opts[1].step()
        for o in opts:
            o.zero_grad()

    return synced(pair)


def gan_sides(a, device):
    "A critic's batch and a generator's, through the learners of both libraries, and by hand"
    kinds = dict(ours=partial(gan.ours, a, True), fastai=partial(gan.fastai, a, True, device))
    steps = {k: make()[0] for k, make in kinds.items() if k in a.sides}
    return steps | (dict(hand=hand_gan(a, device)) if 'hand' in a.sides else {}), 2 * a.bs


def measured(part, a, device):
    "Seconds of each side's steps in turn, and the images of one turn; a side that fails is left out, and said"
    import torch

    steps, bs = gan_sides(a, device) if part == 'gan' else step_sides(part, a, device)
    good = {}
    for name, step in steps.items():
        try:
            start = time.perf_counter()
            step()
            good[name] = step
            print(f'{part}, {name}: begun in {time.perf_counter() - start:.1f} s', file=sys.stderr, flush=True)
        except Exception as e:  # whatever a compiler may raise
            warnings.warn(f'{part}, {name} is left out: {type(e).__name__}: {str(e).strip()[:300]}', stacklevel=1)
    n = bs if part == 'gan' else bs * a.steps
    res = pairs.turns(good, a.rounds, own=True)
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    return res, n


def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--tiny', action='store_true', help='tiny sizes, on any device: does it run?')
    p.add_argument('--out', type=Path, default=pairs.HERE.parent / 'results', help='folder for benchmark_gpu.json')
    p.add_argument('--parts', default='cnn,unet,gan', type=lambda s: s.split(','))
    p.add_argument('--sides', default='ours,ours_compiled,hand,fastai', type=lambda s: s.split(','))
    p.add_argument('--rounds', type=int, default=5)
    a = p.parse_args()
    import torch

    if not torch.cuda.is_available() and not a.tiny:
        raise SystemExit(
            'This machine has no GPU that PyTorch can use: nothing is measured. --tiny tries it all, in tiny.'
        )
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    a.size, a.bs, a.bs_cnn, a.steps, a.nf = (64, 2, 8, 2, 8) if a.tiny else (128, 32, 512, 20, 128)
    a.rounds = 1 if a.tiny else a.rounds
    if a.tiny and device == 'cpu':
        a.sides = [o for o in a.sides if o != 'ours_compiled']  # minutes of a C++ compiler
    if find_spec('fastai') is None:
        a.sides = [o for o in a.sides if o != 'fastai']
        print('fastai is not installed: only ours and the loop written by hand are measured. pip install fastai')
    rows, speeds = [], {}
    for part in a.parts:
        seconds, n = measured(part, a, device)
        speeds[part] = {k: n / statistics.median(v) for k, v in seconds.items()}
        mine = min(
            (k for k in seconds if k.startswith('ours')), key=lambda k: statistics.median(seconds[k]), default=None
        )
        for rival in [o for o in ('fastai', 'hand') if mine and o in seconds]:
            limit = TARGET if rival == 'fastai' and not a.tiny else None
            rows.append(pairs.row(f'{part}_{rival}', f'{part}: {mine}', seconds[mine], seconds[rival], rival, limit))
        print(f'{part}: ' + ', '.join(f'{k} {v:,.4g} images/s' for k, v in speeds[part].items()), flush=True)
    if rows:
        print(pairs.table(rows))
    met = [r['target']['met'] for r in rows if 'target' in r]
    record = dict(
        lesson='benchmark',
        metric='gpu',
        value=sum(met),
        unit=f'of {len(met)} targets met',
        date=time.strftime('%Y-%m-%d'),
        device=device,
        device_name=torch.cuda.get_device_name() if device == 'cuda' else pairs.processor()['capability'],
        versions=dict(torch=torch.__version__, python=sys.version.split()[0]),
        command='python benchmarks/gpu.py' + ' --tiny' * a.tiny,
        sizes=dict(size=a.size, bs=a.bs, bs_cnn=a.bs_cnn, steps=a.steps),
        tiny=a.tiny,
        images_per_second=speeds,
        rows=rows,
    )
    a.out.mkdir(parents=True, exist_ok=True)
    (a.out / 'benchmark_gpu.json').write_text(json.dumps(record, indent=1) + '\n')


if __name__ == '__main__':
    main()
