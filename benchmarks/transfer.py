#!/usr/bin/env python3
"""Measure transfer learning: ours beside fastai's vision_learner, with the same encoder, pictures, sizes, augmentation
and epochs: four epochs of the frozen stage, and an epoch of fine-tuning.

Uses the environment of `run.py`. Both sides live in one process and take turns. `README.md` tells how to read the
table."""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
import pairs

FROZEN_EPOCHS = 4


# ---------------------------------------------------------------- the sides
def make_folder(a):
    "Drawn pets as JPEG files, in a folder for cats and one for dogs"
    import PIL.Image

    from lesson7_lib.synth.breeds import pet_breeds
    from lesson7_lib.synth.pets import draw_pet

    folder = Path(tempfile.mkdtemp())
    for i in range(a.pictures):
        breed = list(pet_breeds)[i % len(pet_breeds)]
        file = folder / ('cat' if breed[0].isupper() else 'dog') / f'{breed}_{i}.jpg'
        file.parent.mkdir(exist_ok=True)
        PIL.Image.fromarray(draw_pet(breed, [1, i], (a.size, a.size))[0]).save(file, quality=90)
    return folder


def ours(folder, a):
    "The chain and `cnn_learner` of the lesson; weights of no importance here are random"
    from torchvision import models

    from lesson7_lib.core.metrics import accuracy
    from lesson7_lib.transfer_cam import cnn_learner
    from lesson7_lib.vision.image import imagenet_stats
    from lesson7_lib.vision.image_data import ImageList
    from lesson7_lib.vision.transforms import get_transforms

    lists = ImageList.from_folder(folder).random_split_by_pct(0.2, seed=42).label_from_folder()
    data = lists.transform(get_transforms(), size=a.size).databunch(bs=a.bs, num_workers=0).normalize(imagenet_stats)
    learn = cnn_learner(data, models.resnet18, pretrained=False, metrics=accuracy, silent=True)

    def stored():
        learn.freeze()
        learn.fit_head(FROZEN_EPOCHS)

    def frozen():
        learn.freeze()
        learn.fit_one_cycle(FROZEN_EPOCHS, 1e-3)

    def tuned():
        learn.unfreeze()
        learn.fit_one_cycle(1, slice(1e-5, 1e-4))

    return dict(stored=stored, frozen=frozen, tuned=tuned), learn.model


def fastai(folder, a):
    "ImageDataLoaders and vision_learner; bar and table off"
    from fastai.callback.progress import ProgressCallback
    from fastai.vision.all import ImageDataLoaders, Resize, accuracy, aug_transforms, resnet18, vision_learner

    dls = ImageDataLoaders.from_folder(
        folder,
        valid_pct=0.2,
        seed=42,
        item_tfms=Resize(a.size),
        batch_tfms=aug_transforms(),
        bs=a.bs,
        num_workers=0,
        device='cpu',
    )
    learn = vision_learner(dls, resnet18, pretrained=False, metrics=accuracy)
    learn.remove_cbs([o for o in learn.cbs if isinstance(o, ProgressCallback)])
    learn.logger = lambda *args: None

    def frozen():
        learn.freeze()
        learn.fit_one_cycle(FROZEN_EPOCHS, 1e-3)

    def tuned():
        learn.unfreeze()
        learn.fit_one_cycle(1, slice(1e-5, 1e-4))

    return dict(frozen=frozen, tuned=tuned), learn.model


# ---------------------------------------------------------------- measuring (inside the environment)
def measure(a):
    "What runs in the environment's Python: seconds of both stages, the sides in turn, one round thrown away"
    import torch

    torch.manual_seed(42)
    folder = make_folder(a)
    sides = dict(ours=ours(folder, a), fastai=fastai(folder, a))
    params = {k: sum(p.numel() for p in m.parameters()) for k, (_, m) in sides.items()}
    if len(set(params.values())) != 1:
        raise SystemExit(f'not the same model: {params}')
    secs = pairs.turns({(k, what): f for k, (parts, _) in sides.items() for what, f in parts.items()}, a.rounds)
    return dict(seconds=[[*k, v] for k, v in secs.items()], params=params)


# ---------------------------------------------------------------- outside
def compare(a, python):
    "The rows, and what else the record holds"
    res = pairs.call(a, python, 'time', pictures=a.pictures, size=a.size, bs=a.bs)
    s = {(k, what): v for k, what, v in res['seconds']}
    rows = [
        pairs.row(
            'frozen_stage',
            f'frozen stage of {FROZEN_EPOCHS} epochs, features stored',
            s['ours', 'stored'],
            s['fastai', 'frozen'],
            'fastai',
            0.5,
        ),
        pairs.row('frozen_plain', '  the same, nothing stored', s['ours', 'frozen'], s['fastai', 'frozen'], 'fastai'),
        pairs.row('fine_tuning', 'one epoch of fine-tuning', s['ours', 'tuned'], s['fastai', 'tuned'], 'fastai', 1.0),
    ]
    return rows, dict(pictures=a.pictures, size=a.size, bs=a.bs, sizes=res['params'])


def main():
    p = pairs.parser(__doc__, '09', rounds=5)
    p.add_argument('--pictures', type=int, default=None, help='how many (default: 320; quick: 48)')
    p.add_argument('--size', type=int, default=None, help='pictures of size×size (default: 128; quick: 64)')
    p.add_argument('--bs', type=int, default=None, help='pictures in a batch (default: 32; quick: 16)')
    a = pairs.parse(p)
    a.pictures = a.pictures or (48 if a.quick else 320)
    a.size, a.bs = a.size or (64 if a.quick else 128), a.bs or (16 if a.quick else 32)
    if a.inside:
        return pairs.inside(a, measure)
    pairs.run(a, lambda python: compare(a, python), ('torch', 'torchvision', 'fastai', 'lesson7_lib'))


if __name__ == '__main__':
    main()
