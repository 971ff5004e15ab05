#!/usr/bin/env python3
"""Measure a step with the feature loss: a small U-Net (resnet18) and the lecture's loss through VGG-16-BN, forward
and backward; and the loss alone.

Uses the environment of `run.py`. fastai v2 has no feature loss of its own, so its side is its U-Net with the loss as
its course writes it: hooks that
stay, both pictures through the whole network, copies of the target's maps. `README.md` tells how to read the table."""

import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import pairs

LAYERS, WEIGHTS = [22, 32, 42], [5, 15, 2]
# key title sides, ours first largest ratio allowed
COMPARE = [
    ('feature_loss', 'the loss, forward and backward, in fp32', ('loss', 'loss_plain'), 1.0),
    ('feature_loss_bf16', '… in bf16, against the plain one in fp32', ('loss_bf16', 'loss_plain'), 0.6),
    ('feature_step_fp32', 'U-Net and loss, a step in fp32', ('ours', 'fastai'), 1.0),
    ('feature_step_bf16', '… in bf16, against fastai in fp32', ('ours_bf16', 'fastai'), 0.6),
    ('feature_same_unet', '… both with our U-Net, in fp32', ('ours', 'ours_plain_loss'), None),
    ('feature_valid', 'the loss in validation, targets kept', ('valid', 'valid_plain'), None),
]


# ---------------------------------------------------------------- the sides
def vgg():
    from torchvision.models.vgg import vgg16_bn

    m = vgg16_bn(weights=None, init_weights=True).features.eval()
    for p in m.parameters():
        p.requires_grad_(False)
    return m


def our_loss(**kw):
    from lesson7_lib.feature_loss import FeatureLoss

    return FeatureLoss(vgg(), LAYERS, WEIGHTS, **kw)


def plain_loss():
    """The straightforward way: hooks for good, the whole network for both pictures, copies of the target's maps,
    terms with their graph"""
    import torch.nn.functional as F

    net, maps = vgg(), {}
    for i in LAYERS:
        net[i].register_forward_hook(lambda m, inp, out, i=i: maps.__setitem__(i, out))

    def gram(x):
        n, c, h, w = x.shape
        x = x.reshape(n, c, h * w)
        return x @ x.transpose(1, 2) / (c * h * w)

    def features(x, copy):
        net(x)
        return [maps[i].clone() if copy else maps[i] for i in LAYERS]

    def loss(pred, targ):
        want, got = features(targ, True), features(pred, False)
        terms = [F.l1_loss(pred, targ)]
        terms += [F.l1_loss(a, b) * w for a, b, w in zip(got, want, WEIGHTS)]
        terms += [F.l1_loss(gram(a), gram(b)) * w**2 * 5e3 for a, b, w in zip(got, want, WEIGHTS)]
        loss.terms = terms
        return sum(terms)

    return loss


def our_unet():
    from lesson7_lib.unet import DynamicUnet
    from lesson7_lib.vision.encoder import create_body

    return DynamicUnet(create_body('resnet18', pretrained=False), 3, blur=True)


def fastai_unet(size):
    "fastai's U-Net, with the blur behind the last growing, as the lecture's and ours have it"
    from fastai.layers import PixelShuffle_ICNR
    from fastai.vision.learner import create_body
    from fastai.vision.models.unet import DynamicUnet
    from torchvision.models import resnet18

    model = DynamicUnet(create_body(resnet18(), pretrained=False), 3, (size, size), blur=True, norm_type=None)
    i, last = next((i, l) for i, l in enumerate(model.layers) if isinstance(l, PixelShuffle_ICNR))
    model.layers[i] = PixelShuffle_ICNR(last[0][0].in_channels, blur=True, norm_type=None)
    return model


def stepper(name, a):
    "A function that makes one step: forward, loss, backward; and the number of the U-Net's parameters"
    import torch

    torch.manual_seed(42)
    x, y = torch.randn(a.bs, 3, a.size, a.size), torch.randn(a.bs, 3, a.size, a.size)
    if name in ('valid', 'valid_plain'):
        loss = our_loss(cache=1024) if name == 'valid' else plain_loss()

        def step():
            with torch.no_grad():
                return float(loss(x, y))

        return step, 0
    model = None if name.startswith('loss') else fastai_unet(a.size) if name == 'fastai' else our_unet()
    loss = plain_loss() if name in ('fastai', 'loss_plain', 'ours_plain_loss') else our_loss()
    params = [] if model is None else list(model.train().parameters())
    x.requires_grad_(model is None)

    def step():
        with torch.autocast('cpu', torch.bfloat16, enabled='bf16' in name):
            res = loss(x if model is None else model(x), y)
        res.backward()
        for p in [x, *params]:
            p.grad = None
        return float(res)

    return step, sum(p.numel() for p in params)


# ---------------------------------------------------------------- measuring (inside the environment)
def measure(a):
    "What runs in the environment's Python: the sides take turns, another begins each round, one round is thrown away"
    steps, params, values = {}, {}, {}
    for k in pairs.worth_timing(a.sides):
        steps[k], params[k] = stepper(k, a)

    def evaluate(k):
        values[k] = steps[k]()

    res = pairs.turns({k: partial(evaluate, k) for k in steps}, a.rounds)
    return dict(seconds=res, params=params, values=values, **pairs.processor())


# ---------------------------------------------------------------- outside
def compare(a, python):
    "The rows, and what else the record holds"
    sides = a.sides or list(dict.fromkeys(o for c in COMPARE for o in c[2]))
    times = pairs.call(a, python, 'time', sides=','.join(sides), size=a.size, bs=a.bs)
    nets = [v for v in times['params'].values() if v]
    if nets and max(nets) > 1.01 * min(nets):
        raise SystemExit(f"not the same U-Net: {times['params']}")
    v = times['values']
    for same in (('loss', 'loss_plain'), ('valid', 'valid_plain')):
        if all(o in v for o in same) and abs(v[same[0]] / v[same[1]] - 1) > 1e-4:
            raise SystemExit(f'not the same loss: {v}')
    return pairs.timed_rows(COMPARE, times), pairs.picture_record(a, times)


def main():
    a = pairs.parse_pictures(pairs.parser(__doc__, '04', rounds=7))
    if a.inside:
        return pairs.inside(a, measure)
    pairs.run(a, lambda python: compare(a, python), ('torch', 'torchvision', 'fastai', 'lesson7_lib'))


if __name__ == '__main__':
    main()
