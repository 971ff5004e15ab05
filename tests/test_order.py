"""Predictions belong to items: row 7 of `get_preds` is item 7, for every kind of data, part, loader and size.

No network is trained here. The model of each test gives back what it was given, so that a row in another item's place
is seen at once."""

import math

import numpy as np
import PIL.Image
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import DataLoader, SubsetRandomSampler, TensorDataset, WeightedRandomSampler

from lesson7_lib.core.databunch import DataBunch, DatasetType
from lesson7_lib.core.items import ItemLists
from lesson7_lib.core.learner import Learner
from lesson7_lib.core.metrics import MSELossFlat
from lesson7_lib.text.text_batches import LanguageModelLoader, TextClasDataBunch, TextLMDataBunch
from lesson7_lib.text.text_list import TextList
from lesson7_lib.vision.image_data import ImageList
from lesson7_lib.vision.masks import SegmentationItemList
from lesson7_lib.vision.transforms import brightness, flip_lr

PARTS = [DatasetType.Train, DatasetType.Fix, DatasetType.Valid, DatasetType.Test]
sizes = given(n=st.integers(4, 11), bs=st.integers(1, 4), seed=st.integers(0, 9))
few = settings(max_examples=8, deadline=None, derandomize=True, database=None)


class Same(nn.Module):
    "Gives back what it is given."

    def forward(self, x):
        return x


class Sum(nn.Module):
    "Two numbers for each item: the sum of what it is given, and its opposite."

    def forward(self, x):
        total = x.float().flatten(1).sum(1)
        return torch.stack([total, -total], 1)


def check(data, model, expected, activation=lambda o: o, **kw):
    "Are the rows of all parts those of the items, which `expected` gives as {part: [tensor]}?"
    learn = Learner(data, model, silent=True, **kw)
    for part, rows in expected.items():
        preds, targs = learn.get_preds(part)
        want = activation(torch.stack(rows))
        assert preds.shape == want.shape and torch.allclose(preds, want, atol=1e-4), part
        assert len(targs) == len(rows)
        if part is not DatasetType.Test:
            ds = data.dl(part).dataset
            answers = ds.y.batch(range(len(ds)))
            scale = 255 if targs.is_floating_point() else 1  # pictures are stored as bytes
            assert torch.equal(targs, answers / scale if scale > 1 else answers.long()), part


def grey(i):
    "A picture that is item `i` in every pixel, and darker on the right."
    a = np.full((8, 6, 3), 10 + 5 * i, 'u1')
    a[:, 3:] -= 5
    return a


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp('pictures')
    for part in ('train', 'valid', 'test'):
        for i in range(11):
            for sort in (f'{part}/{"ab"[i % 2]}', f'{part}-y'):
                (path / sort).mkdir(parents=True, exist_ok=True)
                pixels = grey(i) if sort[-1] != 'y' else np.full((8, 6), i % 3, 'u1')
                PIL.Image.fromarray(pixels).save(path / sort / f'{i:02}.png')
    return path


def pictures(folder, cls, n):
    "The first `n` pictures of each part, in an order that is not sorted by class."
    lists = {}
    for part in ('train', 'valid', 'test'):
        files = sorted(folder.glob(f'{part}/*/*.png'), key=lambda o: o.name)[:n]
        lists[part] = cls(files, path=folder)
    return lists


def floats(xs):
    return [torch.from_numpy(np.array(PIL.Image.open(o))).permute(2, 0, 1).float() / 255 for o in xs.items]


def parts_of(lists, make=floats):
    train, valid, test = [make(lists[o]) for o in ('train', 'valid', 'test')]
    return dict(zip(PARTS, (train, train, valid, test), strict=True))


@few
@sizes
def test_image_classes(folder, n, bs, seed):
    torch.manual_seed(seed)
    lists = pictures(folder, ImageList, n)
    ll = ItemLists(folder, lists['train'], lists['valid']).label_from_func(lambda o: o.parent.name)
    tfms = ([flip_lr(p=1.0), brightness(change=(0.9, 0.9), p=1.0)], [])
    data = ll.add_test(lists['test']).transform(tfms).databunch(bs=bs, val_bs=3, device='cpu')
    expected = {k: [torch.stack([o.sum(), -o.sum()]) for o in v] for k, v in parts_of(lists).items()}
    check(data, Sum(), expected, activation=lambda o: o.softmax(-1))


@few
@sizes
def test_image_to_image(folder, n, bs, seed):
    torch.manual_seed(seed)
    lists = pictures(folder, ImageList, n)
    ll = ItemLists(folder, lists['train'], lists['valid']).label_from_func(lambda o: o)
    data = ll.add_test(lists['test']).transform(([flip_lr(p=1.0)], []), tfm_y=True)
    check(data.databunch(bs=bs, val_bs=3, device='cpu'), Same(), parts_of(lists))


@few
@sizes
def test_masks(folder, n, bs, seed):
    torch.manual_seed(seed)
    lists = pictures(folder, SegmentationItemList, n)
    ll = ItemLists(folder, lists['train'], lists['valid']).label_from_func(
        lambda o: folder / f'{o.parent.parent.name}-y' / o.name, classes=['a', 'b', 'c']
    )
    data = ll.add_test(lists['test']).transform(([flip_lr(p=1.0)], []), tfm_y=True)
    expected = parts_of(lists)
    check(data.databunch(bs=bs, val_bs=3, device='cpu'), Same(), expected, activation=lambda o: o.softmax(1))


@few
@sizes
def test_text_classes(n, bs, seed):
    "Loaders take the longest texts first; rows come back in the order of the texts."
    torch.manual_seed(seed)
    words = [str(100 + i) for i in range(40)]
    rng = np.random.default_rng(seed)
    texts = [[' '.join(rng.choice(words, rng.integers(1, 9))) for _ in range(n)] for _ in range(3)]
    train, valid = [TextList(o, vocab=['xxunk', 'xxpad', 'xxbos', *words]) for o in texts[:2]]
    ll = ItemLists('.', train, valid).label_from_lists([i % 2 for i in range(n)], [i % 2 for i in range(n)])
    data = ll.add_test(texts[2]).databunch(bs=bs, val_bs=3, device='cpu')
    assert isinstance(data, TextClasDataBunch)

    class Numbers(Sum):
        def forward(self, x):  # `xxpad` counts nothing
            return super().forward(torch.where(x == 1, 0, x) * 0.01)

    def rows(ds):
        sums = [torch.as_tensor(o).sum() * 0.01 for o in ds.x.ids]
        return [torch.stack([o, -o]) for o in sums]

    sets = (data.train_ds, data.train_ds, data.valid_ds, data.test_ds)
    expected = {part: rows(ds) for part, ds in zip(PARTS, sets, strict=True)}
    check(data, Numbers(), expected, activation=lambda o: o.softmax(-1))


@few
@given(n=st.integers(60, 200), bs=st.integers(1, 5), bptt=st.integers(2, 9), seq_first=st.booleans())
def test_language_model(n, bs, bptt, seq_first):
    "The rows are those of the stream, all of them, whatever the lengths of the loader's batches."
    words = [str(100 + i) for i in range(30)]
    texts = [' '.join(words[(i * 7) % 30] for i in range(n)), ' '.join(words[(i * 11) % 30] for i in range(n))]
    lists = [TextList([o], vocab=['xxunk', 'xxpad', 'xxbos', *words]) for o in texts]
    data = ItemLists('.', *lists).label_for_lm().databunch(bs=bs, bptt=bptt, seq_first=seq_first, device='cpu')
    assert isinstance(data, TextLMDataBunch) and isinstance(data.valid_dl, LanguageModelLoader)
    learn = Learner(data, nn.Embedding.from_pretrained(torch.eye(33) * 50), silent=True)
    for part, ds in ((DatasetType.Train, data.train_ds), (DatasetType.Valid, data.valid_ds)):
        preds, targs, losses = learn.get_preds(part, with_loss=True)
        stream = torch.as_tensor(ds.x.ids[0])
        rows = (len(stream) - 1) // bs
        seen = preds.argmax(-1).t() if seq_first else preds.argmax(-1)  # the model says what it has just read
        assert seen.reshape(-1).tolist() == stream[: rows * bs].tolist()
        assert (targs.t() if seq_first else targs).reshape(-1).tolist() == stream[1 : rows * bs + 1].tolist()
        assert losses.shape == (rows,)


@few
@given(n=st.integers(4, 11), bs=st.integers(1, 4), shuffle=st.booleans(), drop_last=st.booleans())
def test_pytorch_loaders(n, bs, shuffle, drop_last):
    x = torch.arange(float(n))[:, None]
    loader = DataLoader(TensorDataset(x, x), batch_size=bs, shuffle=shuffle, drop_last=drop_last)
    data = DataBunch(loader, loader, fix_dl=loader, device='cpu')
    learn = Learner(data, Same(), loss_func=MSELossFlat(), silent=True)
    for part in PARTS[:3]:
        preds, targs = learn.get_preds(part)
        assert torch.equal(preds, x) and torch.equal(targs, x)
    losses = learn.get_preds(with_loss=True)[2]
    assert torch.equal(losses, torch.zeros(n))


@pytest.mark.parametrize('sampler', [WeightedRandomSampler([1.0] * 4, 4), SubsetRandomSampler([1, 3])])
def test_unknown_order_is_refused(sampler):
    x = torch.arange(4.0)[:, None]
    loader = DataLoader(TensorDataset(x, x), batch_size=2, sampler=sampler)
    learn = Learner(DataBunch(loader, loader, device='cpu'), Same(), loss_func=MSELossFlat(), silent=True)
    with pytest.raises(ValueError, match='rows cannot be assigned to items'):
        learn.get_preds()
    with pytest.raises(ValueError, match='`Fix` is the training set in order'):
        learn.get_preds(DatasetType.Train)


def test_different_sizes_are_refused(tmp_path):
    "At the first batch that does not fit, not after all the work."
    for i in range(6):
        PIL.Image.new('RGB', (8, 8 + 2 * (i > 2))).save(tmp_path / f'{i}.png')
    data = ImageList.from_folder(tmp_path).split_by_idx(range(6)[1:]).label_from_func(lambda o: o)
    calls = []

    class Counting(Same):
        def forward(self, x):
            calls.append(x.shape)
            return super().forward(x)

    learn = Learner(data.databunch(bs=1, device='cpu'), Counting(), silent=True)
    with pytest.raises(ValueError, match=r'batch 2 \(it begins with .*3.png\).*Bring pictures to one size'):
        learn.get_preds()
    assert len(calls) == 3
    one_size = Learner(data.transform(size=8, tfm_y=True).databunch(bs=1, device='cpu'), Same(), silent=True)
    assert one_size.get_preds()[0].shape == (5, 3, 8, 8)


def test_augmented_variants_keep_the_order():
    x = torch.arange(7.0)[:, None]
    data = DataBunch.from_tensors(x, x, x, x, bs=2, device='cpu')
    data.train_ds.tfms = lambda x, y: (x + 0.1, y)
    learn = Learner(data, Same(), silent=True)
    for part in PARTS[:3]:
        preds, targs = learn.TTA(part, n=1)
        assert torch.allclose(preds, x + 0.05) and torch.equal(targs, x)
    assert math.isclose(float(learn.get_preds(DatasetType.Train)[0].sum()), 21.0)


def test_augmentation_by_item(tmp_path, monkeypatch):
    "By (seed, epoch, index): the same picture whatever the batch size, the order, the workers and the process."
    import numpy as np
    import PIL.Image

    from lesson7_lib.core.env import defaults
    from lesson7_lib.core.parallel import Part
    from lesson7_lib.vision.image_data import ImageList
    from lesson7_lib.vision.transforms import get_transforms

    monkeypatch.setattr(defaults, 'image_memory', 0)  # they are read while it trains
    rng = np.random.default_rng(0)
    for i in range(12):
        PIL.Image.fromarray(rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(tmp_path / f'{i:02}.png')
    lists = ImageList.from_folder(tmp_path).split_none().label_from_func(lambda o: int(o.stem))
    lists = lists.transform(get_transforms(), size=16)

    def pictures(bs, epoch=0, workers=0, shuffle=False, rank=0, n=1):
        dl = lists.databunch(bs=bs, num_workers=workers, device='cpu').train_dl
        dl.shuffle, dl.part, dl.item_key = shuffle, Part(rank, n), (7, epoch)
        return {i: x for xb, yb in dl for i, x in zip(yb.tolist(), xb)}

    whole = pictures(12)
    assert len(whole) == 12
    others = [pictures(4), pictures(6, shuffle=True), pictures(4, workers=1), pictures(3, workers=2, shuffle=True)]
    others.append(pictures(2, rank=0, n=2) | pictures(2, rank=1, n=2))
    for other in others:
        assert other.keys() == whole.keys()
        assert all(torch.equal(other[i], whole[i]) for i in whole)
    assert not any(torch.equal(o, whole[i]) for i, o in pictures(12, epoch=1).items())
