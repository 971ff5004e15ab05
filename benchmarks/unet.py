#!/usr/bin/env python3
"""Measure one training step of the U-Nets: ours, fastai's at the same architecture, segmentation_models.pytorch's
plain Unet.

Uses the environment of `run.py`, with segmentation_models.pytorch added. Time: all sides in one process, in turn.
Memory: each side in a process
of its own. `README.md` tells how to read the table."""

import ctypes
import gc
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import pairs

N_CLASSES = 12
# key title sides, ours first largest ratio allowed
COMPARE = [
    ('unet_step_fp32', 'DynamicUnet(resnet34, blur), a step in fp32', ('ours', 'fastai_same'), 1.0),
    ('unet_step_cl', '… with channels_last', ('ours_cl', 'fastai_same'), None),
    ('unet_step_bf16', '… in bf16, against fastai in fp32', ('ours_bf16', 'fastai_same'), 0.6),
    ('unet_less', '… against a fastai net without the last blur', ('ours', 'fastai'), None),
    ('unet_noblur', 'DynamicUnet(resnet34), a step in fp32', ('ours_noblur', 'fastai_noblur'), None),
    ('unet_fast', "FastUnet(resnet34), against smp's Unet('resnet34')", ('fast', 'smp'), 1.5),
    ('unet_memory', 'DynamicUnet(resnet34, blur), peak memory of a step', ('ours', 'fastai_same'), 1.0),
    ('fast_memory', 'FastUnet(resnet34), peak memory of a step', ('fast', 'smp'), None),
]


# ---------------------------------------------------------------- the sides
def ours(blur=True):
    from lesson7_lib.unet import DynamicUnet
    from lesson7_lib.vision.encoder import create_body

    return DynamicUnet(create_body('resnet34', pretrained=False), N_CLASSES, blur=blur)


def fastai(size, blur=True):
    from fastai.vision.learner import create_body
    from fastai.vision.models.unet import DynamicUnet
    from torchvision.models import resnet34

    return DynamicUnet(create_body(resnet34(), pretrained=False), N_CLASSES, (size, size), blur=blur, norm_type=None)


def fastai_same(size):
    """fastai's net blurs after each growing but the last; ours, as the lecture's, after that one too. Here
    fastai's does the same work"""
    from fastai.layers import PixelShuffle_ICNR

    model = fastai(size)
    i, last = next((i, l) for i, l in enumerate(model.layers) if isinstance(l, PixelShuffle_ICNR))
    model.layers[i] = PixelShuffle_ICNR(last[0][0].in_channels, blur=True, norm_type=None)
    return model


def fast():
    from lesson7_lib.vision.encoder import create_body
    from lesson7_lib.vision.unet import FastUnet

    return FastUnet(create_body('resnet34', pretrained=False), N_CLASSES)


def smp():
    import segmentation_models_pytorch

    return segmentation_models_pytorch.Unet('resnet34', encoder_weights=None, classes=N_CLASSES)


def make(name, size):
    "A model by the name of its side"
    makes = dict(
        ours=ours,
        ours_cl=ours,
        ours_bf16=ours,
        ours_bf16_cl=ours,
        ours_noblur=lambda: ours(False),
        fastai=lambda: fastai(size),
        fastai_same=lambda: fastai_same(size),
        fastai_noblur=lambda: fastai(size, False),
        fast=fast,
        smp=smp,
    )
    return makes[name]()


def stepper(name, a):
    "A function that makes one training step: forward, cross entropy, backward, fused AdamW"
    import torch
    import torch.nn.functional as F

    torch.manual_seed(42)
    model = make(name, a.size).train()
    x, y = torch.randn(a.bs, 3, a.size, a.size), torch.randint(0, N_CLASSES, (a.bs, a.size, a.size))
    if '_cl' in name:
        model, x = model.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    opt = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)

    def step():
        with torch.autocast('cpu', torch.bfloat16, enabled='bf16' in name):
            loss = F.cross_entropy(model(x).as_subclass(torch.Tensor).float(), y)
        loss.backward()
        opt.step()
        opt.zero_grad()

    return step, sum(p.numel() for p in model.parameters())


# ---------------------------------------------------------------- measuring (inside the environment)
def measure_time(a):
    "Seconds of a step: the sides take turns, another begins each round, one round is thrown away"
    steps, params = {}, {}
    for k in pairs.worth_timing(a.sides):
        steps[k], params[k] = stepper(k, a)
    return dict(seconds=pairs.turns(steps, a.rounds), params=params)


def peak_bytes():
    "The peak of the resident memory since it was last reset (Linux), or of the whole life of the process"
    import resource

    try:
        return next(
            int(l.split()[1]) * 1024
            for l in Path('/proc/self/status').read_text().splitlines()
            if l.startswith('VmHWM')
        )
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024)


def measure_memory(a):
    "How far the memory rises in the third step above what model, gradients' buffers and optimiser hold between steps"
    (name,) = a.sides
    step, params = stepper(name, a)
    for _ in range(2):
        step()
    gc.collect()
    try:
        ctypes.CDLL('libc.so.6').malloc_trim(0)
    except (OSError, AttributeError):
        pass
    try:
        Path('/proc/self/clear_refs').write_text('5')  # from here on counts the peak
    except OSError:
        pass
    try:
        base = int(Path('/proc/self/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE')
    except OSError:
        base = 0
    step()
    return dict(bytes=peak_bytes() - base, peak=peak_bytes(), params=params)


def measure(a):
    "What runs in the environment's Python"
    return dict(measure_memory(a) if a.inside == 'memory' else measure_time(a), **pairs.processor())


# ---------------------------------------------------------------- outside
def compare(a, python):
    "The rows, and what else the record holds"
    pairs.add_package(python, 'segmentation_models_pytorch', 'segmentation-models-pytorch')
    sides = a.sides or [o for pair in COMPARE for o in pair[2]]
    call = lambda kind, sides: pairs.call(a, python, kind, sides=','.join(sides), size=a.size, bs=a.bs)
    times = call('time', list(dict.fromkeys(sides)))
    memory = {k: call('memory', [k]) for k in ('ours', 'fastai_same', 'fast', 'smp') if k in sides}
    params = times['params']
    if len({v for k, v in params.items() if k.startswith(('ours', 'fastai'))}) > 1:
        raise SystemExit(f'not the same architecture: {params}')
    rows = pairs.timed_rows([c for c in COMPARE if 'memory' not in c[0]], times)
    for key, title, (mine, rival), limit in COMPARE:
        if 'memory' in key and mine in memory and rival in memory:
            rows.append(pairs.row(key, title, [memory[mine]['bytes']], [memory[rival]['bytes']], rival, limit, 'bytes'))
    return rows, pairs.picture_record(a, times)


def main():
    a = pairs.parse_pictures(pairs.parser(__doc__, '02'))
    if a.inside:
        return pairs.inside(a, measure)
    pairs.run(
        a,
        lambda python: compare(a, python),
        ('torch', 'torchvision', 'fastai', 'segmentation_models_pytorch', 'lesson7_lib'),
    )


if __name__ == '__main__':
    main()
