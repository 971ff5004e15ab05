"All ready-made restorers: what must be there, and what each must do with a picture."

import io

import numpy as np
import PIL.Image
import pytest
import torch
from project import PACKAGE

from lesson7_lib.apps.restore import Restorer
from lesson7_lib.vision.restorers import load_restorer, ready_made, restorer_folder, restorer_problems

TIMES = dict(x2=2)  # how many times larger the result is; others: 1


def test_all_are_found():
    "A folder in `weights` is a restorer, and nothing else."
    folders = [o.name for o in (PACKAGE / 'weights').glob('*') if o.is_dir()]
    assert sorted(folders) == sorted(ready_made())


def picture() -> PIL.Image.Image:
    "A picture with soft ramps and sharp edges, of an odd size."
    y, x = np.mgrid[:61, :83]
    a = np.stack([x * 3, y * 4, 255 - x * 2], -1).astype(np.uint8)
    a[20:40, 30:60] = (200, 40, 90)
    return PIL.Image.fromarray(a)


def distance(a: PIL.Image.Image, b: PIL.Image.Image) -> float:
    "Root of the mean squared difference, in grey levels."
    return float(np.sqrt(np.square(np.asarray(a, float) - np.asarray(b, float)).mean()))


@pytest.mark.parametrize('name', ready_made())
def test_restorer(name):
    "Its folder is complete; it makes a picture of the right size and kind, the same in tiles and with others in a batch."
    assert restorer_problems(restorer_folder(name)) == []
    learn = load_restorer(name, device='cpu')
    assert {o.dtype for o in learn.model.parameters()} == {torch.float32}
    img = picture()
    made = Restorer(learn)(img)
    k = TIMES.get(name, 1)
    assert (made.mode, made.size) == ('RGB', (k * img.width, k * img.height))
    enlarged = img.resize(made.size, PIL.Image.Resampling.BICUBIC)
    if name != 'colour':
        assert distance(made, enlarged) < 10, 'a clean picture is hardly changed'
    tiles = Restorer(learn, tile=64, overlap=20, bs=2)(img)
    assert distance(tiles, made) < 3, 'the tiles show'
    assert Restorer(learn, strength=0)(img).size == made.size
    grey = Restorer(learn)(img.convert('L'))
    assert grey.mode == ('RGB' if name == 'colour' else 'L')


def test_photo_removes_noise():
    "The default restorer brings a noisy picture closer to the good one, and leaves the good one alone."
    if 'photo' not in ready_made():
        pytest.skip('photo is not installed')
    good = picture().resize((166, 122))
    noise = np.random.default_rng(1).normal(0, 15, (122, 166, 3))
    bad = PIL.Image.fromarray((np.asarray(good, float) + noise).clip(0, 255).astype(np.uint8))
    run = Restorer('photo', device='cpu')
    assert distance(run(bad), good) < 0.7 * distance(bad, good)
    assert distance(run(good), good) < 2.55  # 40 dB
    blocks = io.BytesIO()
    good.save(blocks, 'JPEG', quality=20)
    jpeg = PIL.Image.open(blocks)
    assert distance(run(jpeg), good) < distance(jpeg, good)
