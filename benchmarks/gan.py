#!/usr/bin/env python3
"""Measure the GAN of part three: a critic's batch and a generator's batch (U-Net with resnet34, weight norm,
self-attention; the lecture's critic of
44.7 million parameters), through the learners of both libraries. And crappify: a folder in two processes, against the lecture's own code.

Uses the environment of `run.py`. The sides take turns in one process. `README.md` tells how to read the table."""

import itertools
import random
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import pairs

# key title sides, ours first largest ratio allowed
COMPARE = [
    ('gan_pair_fp32', 'critic + generator, a batch each, in fp32', ('ours', 'fastai'), 1.0),
    ('gan_pair_bf16', '… both asked for bf16, by `to_bf16()`', ('ours_bf16', 'fastai_bf16'), 0.6),
    ('crappify', "crappify, two processes, against the lecture's code", ('folder', 'lecture'), 0.9),
]


# ---------------------------------------------------------------- the sides
def tensors(a):
    "Two batches of crappy and good pictures"
    import torch

    torch.manual_seed(42)
    return torch.randn(2 * a.bs, 3, a.size, a.size), torch.randn(2 * a.bs, 3, a.size, a.size)


def networks(nf=128):
    "The generator and the critic, in this library; `nf`: channels of the critic's first layer"
    from lesson7_lib.crappify_gan import gan_critic
    from lesson7_lib.unet import DynamicUnet
    from lesson7_lib.vision.encoder import create_body

    body = create_body('resnet34', pretrained=False)
    y_range = (-3.0, 3.0)
    return DynamicUnet(body, 3, blur=True, norm_type='Weight', self_attention=True, y_range=y_range), gan_critic(nf=nf)


def ours(a, bf16=False):
    "Seconds of a critic's and a generator's batch"
    from torch import nn, optim

    from lesson7_lib.core.callback import Callback
    from lesson7_lib.core.databunch import DataBunch
    from lesson7_lib.core.metrics import MSELossFlat
    from lesson7_lib.crappify_gan import AdaptiveLoss, FixedGANSwitcher, GANLearner, gan_loss_from_func

    losses = gan_loss_from_func(MSELossFlat(), AdaptiveLoss(nn.BCEWithLogitsLoss()), (1.0, 50.0))
    learn = GANLearner(
        DataBunch.from_tensors(*tensors(a), bs=a.bs),
        *networks(getattr(a, 'nf', 128)),
        *losses,
        switcher=FixedGANSwitcher,
        show_img=False,
        silent=True,
        wd=1e-3,
        opt_func=partial(optim.Adam, betas=(0.0, 0.99)),
    )
    if bf16:
        learn.to_bf16()

    class Clock(Callback):
        order = -99

        def on_epoch_begin(self):
            self.start = time.perf_counter()

    class Stop(Callback):
        order = 99

        def on_batch_end(self):
            pairs.sync()
            self.seconds = time.perf_counter() - clock.start

    clock, stop = Clock(), Stop()

    def step():
        learn.fit(1, 1e-4, callbacks=[clock, stop])
        return stop.seconds

    return step, {
        k: sum(p.numel() for p in m.parameters())
        for k, m in (('generator', learn.model.generator), ('critic', learn.model.critic))
    }


def fastai(a, bf16=False, device='cpu'):
    from fastai.basics import Adam, Callback, DataLoaders, MSELossFlat, NormType
    from fastai.vision.gan import AdaptiveLoss, FixedGANSwitcher, GANLearner, gan_critic, gan_loss_from_func
    from fastai.vision.learner import create_body
    from fastai.vision.models.unet import DynamicUnet
    from torch import nn
    from torchvision.models import resnet34

    x, y = tensors(a)
    dls = DataLoaders.from_dsets(list(zip(x, y)), list(zip(x, y))[:1], bs=a.bs, num_workers=0, device=device)
    gen = DynamicUnet(
        create_body(resnet34(), pretrained=False),
        3,
        (a.size, a.size),
        blur=True,
        norm_type=NormType.Weight,
        self_attention=True,
        y_range=(-3.0, 3.0),
    )
    losses = gan_loss_from_func(MSELossFlat(), AdaptiveLoss(nn.BCEWithLogitsLoss()), (1.0, 50.0))

    class Clock(Callback):
        order = -99

        def before_train(self):
            self.start = time.perf_counter()

        def after_train(self):
            pairs.sync()
            self.seconds = time.perf_counter() - self.start

    clock = Clock()
    learn = GANLearner(
        dls,
        gen,
        gan_critic(),
        *losses,
        switcher=FixedGANSwitcher(n_crit=1, n_gen=1),
        show_img=False,
        wd=1e-3,
        cbs=[clock],
        opt_func=partial(Adam, mom=0.0, sqr_mom=0.99),
    )
    if bf16:
        learn.to_bf16()

    def step():
        with learn.no_bar(), learn.no_logging():
            learn.fit(1, 1e-4)
        return clock.seconds

    return step, {
        k: sum(p.numel() for p in m.parameters())
        for k, m in (('generator', learn.model.generator), ('critic', learn.model.critic))
    }


# ---------------------------------------------------------------- crappify
def lecture_crappify(path_hr, path_lr, fn, i):
    "The lecture's function; the folders are arguments, since it runs in another process"
    import PIL.Image
    from PIL import ImageDraw

    from lesson7_lib.vision.image import resize_to

    dest = path_lr / fn.relative_to(path_hr)
    dest.parent.mkdir(parents=True, exist_ok=True)
    img = PIL.Image.open(fn)
    img = img.resize(resize_to(img, 96, use_min=True), resample=PIL.Image.BILINEAR).convert('RGB')
    w, h = img.size
    q = random.randint(10, 70)
    ImageDraw.Draw(img).text((random.randint(0, w // 2), random.randint(0, h // 2)), str(q))
    img.save(dest, quality=q)


def spoil_folders(a):
    """Seconds for a folder of photographs (noise on a ramp, 500×375, quality 90), ours and the lecture's, whose
    `parallel` is a pool of processes"""
    import numpy as np
    import PIL.Image

    from lesson7_lib.vision.degrade import crappify_folder

    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as d:
        hr = Path(d) / 'hr'
        hr.mkdir()
        for i in range(a.pictures):
            soft = np.kron(rng.integers(0, 256, (15, 20, 3)), np.ones((25, 25, 1))) + rng.normal(0, 12, (375, 500, 3))
            PIL.Image.fromarray(soft.clip(0, 255).astype('uint8')).save(hr / f'{i:04}.jpg', quality=90)
        files = sorted(hr.iterdir())

        def lecture(to):
            with ProcessPoolExecutor(2) as ex:
                [f.result() for f in [ex.submit(lecture_crappify, hr, to, fn, i) for i, fn in enumerate(files)]]

        sides = dict(folder=lambda to: crappify_folder(hr, to, max_workers=2), lecture=lecture)
        numbers = itertools.count()

        def degrade(k):
            to = Path(d) / f'{next(numbers)}'
            sides[k](to)
            assert len(list(to.iterdir())) == a.pictures

        return dict(seconds=pairs.turns({k: partial(degrade, k) for k in sides}, a.rounds))


# ---------------------------------------------------------------- measuring (inside the environment)
def measure(a):
    "What runs in the environment's Python: the sides take turns, another begins each round, one round is thrown away"
    if a.inside == 'crappify':
        return spoil_folders(a)
    makes = dict(ours=ours, ours_bf16=partial(ours, bf16=True), fastai=fastai, fastai_bf16=partial(fastai, bf16=True))
    steps, params = {}, {}
    for k in a.sides:
        steps[k], params[k] = makes[k](a)
    return dict(seconds=pairs.turns(steps, a.rounds, own=True), params=params, **pairs.processor())


# ---------------------------------------------------------------- outside
def compare(a, python):
    "The rows, and what else the record holds"
    sides = a.sides or ['ours', 'ours_bf16', 'fastai', 'fastai_bf16']
    times = pairs.call(a, python, 'time', sides=','.join(sides), size=a.size, bs=a.bs)
    for k in ('generator', 'critic'):
        n = [v[k] for v in times['params'].values()]
        if max(n) > 1.01 * min(n):
            raise SystemExit(f"not the same {k}: {times['params']}")
    times['seconds'] |= pairs.call(a, python, 'crappify', pictures=a.pictures)['seconds']
    return pairs.timed_rows(COMPARE, times, 'both stay in 32 bits'), dict(
        pairs.picture_record(a, times), pictures=a.pictures
    )


def main():
    p = pairs.parser(__doc__, '03', rounds=7)
    p.add_argument('--pictures', type=int, default=None, help='pictures to crappify (default: 400; quick: 100)')
    a = pairs.parse_pictures(p)
    a.pictures = a.pictures or (100 if a.quick else 400)
    if a.inside:
        return pairs.inside(a, measure)
    pairs.run(a, lambda python: compare(a, python), ('torch', 'torchvision', 'fastai', 'lesson7_lib'))


if __name__ == '__main__':
    main()
