"""Paths and endings as people type them: `~` is the home folder, and an ending may be written in any way, in every
function that takes one."""

from pathlib import Path

import PIL.Image
import pytest
import torch

from lesson7_lib.core.checkpoint import load_tensors, save_tensors
from lesson7_lib.core.databunch import DataBunch
from lesson7_lib.core.files import atomic_folder, atomic_write, list_files
from lesson7_lib.core.learner import Learner, load_learner
from lesson7_lib.text.text_batches import TextClasDataBunch
from lesson7_lib.text.text_list import TextList, read_text
from lesson7_lib.text.tokens import Vocab
from lesson7_lib.vision.degrade import Crappify, Shrink, crappify_folder
from lesson7_lib.vision.image import Image
from lesson7_lib.vision.image_data import ImageList
from lesson7_lib.vision.masks import open_mask, read_codes
from lesson7_lib.vision.photo import as_photo, get_image_files, open_image, open_photo, save_photo, verify_images


@pytest.fixture
def home(tmp_path, monkeypatch):
    "A home folder with two pictures and two texts, and another folder to work in."
    for name in ('HOME', 'USERPROFILE'):
        monkeypatch.setenv(name, str(tmp_path / 'home'))
    for name in ('pics/a', 'pics/b', 'texts/a', 'texts/b', '../work'):
        (tmp_path / 'home' / name).resolve().mkdir(parents=True)
    for name in 'ab':
        PIL.Image.new('L', (8, 8), 1).convert('RGB').save(tmp_path / f'home/pics/{name}/{name}.png')
        (tmp_path / f'home/texts/{name}/{name}.txt').write_text('one two')
    monkeypatch.chdir(tmp_path / 'work')
    return tmp_path / 'home'


def test_reading(home):
    (home / 'codes.txt').write_text('sky\nroad\n')
    (home / 'texts/table.csv').write_text('text,label\none,a\ntwo,b\n')
    picture = '~/pics/a/a.png'
    assert (
        len(list_files('~/pics')) == len(get_image_files(Path('~/pics'))) == len(ImageList.from_folder('~/pics')) == 2
    )
    assert ImageList.from_folder('~/pics').label_from_folder().classes == ['a', 'b']
    assert ImageList([picture])[0].shape == open_image(picture).shape == (3, 8, 8)
    assert ImageList([]).one(picture).shape == (1, 3, 8, 8)
    assert open_photo(picture).size == (8, 8) and not verify_images('~/pics')
    assert open_mask(picture).shape == (1, 8, 8)
    assert read_codes('~') == read_codes('~/codes.txt') == ['sky', 'road']
    assert read_text('~/texts/a/a.txt') == TextList([Path('~/texts/a/a.txt')])[0].text == 'one two'
    assert len(TextList.from_folder('~/texts')) == len(TextList.from_csv('~/texts', 'table.csv')) == 2


def test_writing(home):
    with atomic_write('~/new/a.txt', 'w') as f:
        f.write('a')
    with atomic_folder('~/made') as folder:
        (folder / 'a').write_text('a')
    save_tensors('~/new/t.safetensors', dict(a=torch.ones(1)))
    assert load_tensors('~/new/t.safetensors')[0]['a'] == 1
    Vocab(['xxunk', 'one']).save('~/new/vocab.json')
    assert len(Vocab.load('~/new/vocab.json')) == 2
    Image(torch.zeros(3, 8, 8)).save('~/new/1.png')
    for i, durable in enumerate((True, False)):
        save_photo(PIL.Image.new('RGB', (8, 8)), f'~/new/{i + 2}.png', durable=durable)
    as_photo(open_photo('~/pics/a/a.png')).save('~/new/4.png')
    crappify_folder('~/pics', '~/crappy', Crappify(Shrink(4)))
    assert sorted(o.stem for o in (home / 'new').glob('*.png')) == list('1234')
    assert (home / 'made/a').is_file() and len(list_files(home / 'crappy', 'png')) == 2
    assert not list(Path('.').iterdir())  # no folder of the name `~`


def test_learner(home):
    x = torch.arange(8.0)[:, None]
    data = DataBunch.from_tensors(x, x, x, x, bs=4, device='cpu', path='~/learner')
    learn = Learner(data, torch.nn.Linear(1, 1), silent=True)
    learn.save('one')
    learn.load('one')
    assert learn.export() == home / 'learner/export'
    Learner(data, torch.nn.Linear(1, 1), path='~/other', model_dir='~/checkpoints', silent=True).save('two')
    assert (home / 'checkpoints/two.safetensors').is_file()
    learn.export('~/elsewhere')
    for name in ('~/learner/export', '~/elsewhere', '~/elsewhere/learner.safetensors'):
        opened = load_learner(name, device='cpu')
        assert torch.equal(opened.model.weight, learn.model.weight)
    assert not list(Path('.').iterdir())


@pytest.mark.parametrize('given', ['.png', 'png', '.PNG', 'Png', ['png'], ('.png', 'png'), {'.png'}])
def test_endings(tmp_path, given):
    "A string is one ending, not a list of letters: `.png` does not take `.jpg`, nor files that end in n or g."
    for name in ('a.png', 'b.PNG', 'c.jpg', 'd.txt', 'no.g', 'no.n', 'x.xpng'):
        (tmp_path / name).write_text('one two')
    found = [
        list_files(tmp_path, given),
        get_image_files(tmp_path, extensions=given),
        ImageList.from_folder(tmp_path, extensions=given).items,
        TextList.from_folder(tmp_path, extensions=given).items,
    ]
    for files in found:
        assert [o.name for o in files] == ['a.png', 'b.PNG']


@pytest.mark.parametrize('given', ['', '.', '*.png', '.png,.jpg', [], ['.png', '*'], "['png']"])
def test_endings_that_are_none(tmp_path, given):
    (tmp_path / 'a.png').write_text('one')
    for make in (list_files, ImageList.from_folder, TextList.from_folder, get_image_files):
        with pytest.raises(ValueError, match=r"such as '\.png' or \['\.png', '\.jpg'\]"):
            make(tmp_path, extensions=given)


def test_endings_of_a_bunch(tmp_path):
    for name in 'ab':
        (tmp_path / name).mkdir()
        for i in range(4):
            (tmp_path / name / f'{i}.md').write_text(f'{name} text')
        (tmp_path / name / 'notes.txt').write_text('not this one')
    data = TextClasDataBunch.from_folder(tmp_path, extensions='md', valid_pct=0.5, seed=0, bs=2, min_freq=1)
    assert len(data.train_ds) + len(data.valid_ds) == 8
