"""Checks on the real data, from a mirror or the internet: digits, streets, pets, bedrooms, numbers in words.

    LESSON7_MIRROR=path/to/archives pytest --real-data --dist loadgroup --no-loadscope-reorder tests/real_data.py

What needs the same data is one group: with `--dist loadgroup`, one process unpacks and opens them, once.
What takes longest stands first, and `--no-loadscope-reorder` begins with it.
Streets and bedrooms are on mirrors only: where no mirror has them, those tests are skipped, and say so.
"""
# ruff: noqa: F403, F405  (the lecture's cells, with its star import)

import hashlib
import os
import re
import tarfile
import tempfile
import zlib
from pathlib import Path, PurePosixPath

import pytest
from project import weights_command

from lesson7_lib.all import *
from lesson7_lib.apps.demo import demo_main


def needs(url):
    "Skip where a data set that only mirrors have is not there."
    return pytest.mark.skipif(not has_data(url), reason=f'{Path(url).name} is on no mirror named by LESSON7_MIRROR')


def thinned(archive, to, keep=5):
    "An archive with one of `keep` files, the same pictures as masks; small files such as lists stay."
    with tarfile.open(archive) as old, tarfile.open(to, 'w:gz', compresslevel=1) as new:
        for member in old:
            name = PurePosixPath(member.name)
            is_picture = name.suffix in ('.jpg', '.png')
            if member.isfile() and (not is_picture or zlib.crc32(name.stem.encode()) % keep == 0):
                new.addfile(member, old.extractfile(member))


@pytest.fixture
def few_pictures(monkeypatch, tmp_path):
    "A mirror with a fifth of the streets and pets, where the mirror is a folder: a training on all of them takes minutes."
    mirror = Path(os.environ.get('LESSON7_MIRROR', ''))
    small = tmp_path / 'mirror'
    for url in (URLs.CAMVID_TIRAMISU, URLs.PETS):
        archive = mirror / f'{Path(url).name.removesuffix(".tgz")}.tgz'
        if archive.is_file():
            small.mkdir(exist_ok=True)
            thinned(archive, small / archive.name)
    if small.exists():
        made = {o.name: hashlib.sha256(o.read_bytes()).hexdigest() for o in small.iterdir()}
        for other in mirror.iterdir():
            if other.name != 'SHA256SUMS' and other.name not in made:
                (small / other.name).symlink_to(other)
        lines = (mirror / 'SHA256SUMS').read_text(encoding='utf-8').splitlines()
        lines = [o for o in lines if o.split()[-1].lstrip('*') not in made]
        lines += [f'{digest}  {name}' for name, digest in made.items()]
        (small / 'SHA256SUMS').write_text('\n'.join([*lines, '']), encoding='utf-8')
        monkeypatch.setenv('LESSON7_MIRROR', str(small))
        monkeypatch.setenv('LESSON7_CACHE', str(tmp_path / 'cache'))


@pytest.mark.parametrize(
    'lesson, said',
    [
        ('01', 'of 10,000 digits'),
        ('04', 'pets held out'),
        pytest.param('02', r'of the pixels of \d+ streets', marks=needs(URLs.CAMVID_TIRAMISU)),
    ],
)
def test_demo_full(lesson, said, request, tmp_path):
    """`lesson7_demo --full` trains on the real data, and its page says so. (The numbers of lesson 05 are the same with
    and without `--full`: test_demo.py.)"""
    if lesson != '01':
        request.getfixturevalue('few_pictures')
    assert demo_main(['--full', '--lesson', lesson, '--epochs', '1', '--out', str(tmp_path / 'demo')]) == 0
    page = (tmp_path / 'demo' / 'index.html').read_text(encoding='utf-8')
    assert 'Real data.' in page and 'Synthetic data' not in page and re.search(said, page)


sets = {}


def digits():
    "The lecture's lists, made once."
    if 'll' not in sets:
        path = untar_data(URLs.MNIST)
        il = ImageItemList.from_folder(path, convert_mode='L')
        sets.update(path=path, il=il, ll=il.split_by_folder(train='training', valid='testing').label_from_folder())
    return sets['ll']


@pytest.mark.xdist_group('digits')
def test_lists_and_prints():
    "60 000 and 10 000 digits; the lists print themselves as in the lecture."
    ll = digits()
    assert len(sets['il']) == 70000 and (len(ll.train), len(ll.valid)) == (60000, 10000)
    assert repr(sets['il']).startswith('ImageItemList (70000 items)\n[Image (1, 28, 28), Image (1, 28, 28)'), repr(
        sets['il']
    )
    assert 'y: CategoryList (60000 items)' in repr(ll) and repr(ll).rstrip().endswith('Test: None'), repr(ll)
    x, y = ll.train[0]
    assert tuple(x.shape) == (1, 28, 28) and str(y) in '0123456789'


@pytest.mark.xdist_group('digits')
def test_statistics():
    """Mean and deviation of the training digits are the known ones (.1307 and .3081), and a normalised batch has
    nearly 0 and 1."""
    data = bunch()
    xb, _ = data.one_batch(denorm=False)
    assert abs(float(xb.mean())) < 0.1 and abs(float(xb.std()) - 1) < 0.1, (xb.mean(), xb.std())
    total, square, n = 0.0, 0.0, 0
    for xb, _ in data.dl(DatasetType.Fix):
        xb = data.denorm(xb).double()
        total, square, n = total + float(xb.sum()), square + float((xb**2).sum()), n + xb.numel()
    mean = total / n
    assert abs(mean - 0.1307) < 2e-4 and abs((square / n - mean**2) ** 0.5 - 0.3081) < 2e-4, (
        mean,
        (square / n - mean**2) ** 0.5,
    )


def bunch(bs=128):
    if 'data' not in sets:
        sets['data'] = (
            digits().transform(([*rand_pad(padding=3, size=28, mode='zeros')], [])).databunch(bs=bs).normalize()
        )
    return sets['data']


@pytest.mark.xdist_group('digits')
def test_three_epochs():
    "The lecture's basic CNN, 3 epochs at .1: at least 98.3 % with one seed."
    set_seed(42)

    def conv(ni, nf):
        return nn.Conv2d(ni, nf, kernel_size=3, stride=2, padding=1)

    widths = [1, 8, 16, 32, 16, 10]
    layers = [[conv(a, b), nn.BatchNorm2d(b), nn.ReLU()] for a, b in zip(widths, widths[1:])]
    model = nn.Sequential(*[o for block in layers for o in block][:-1], Flatten())
    learn = Learner(bunch(), model, loss_func=nn.CrossEntropyLoss(), metrics=accuracy)
    assert 'Total params: 12126' in str(learn.summary()).replace(',', ''), learn.summary()
    learn.fit_one_cycle(3, max_lr=0.1)
    acc = float(learn.recorder.metrics[-1][0])
    assert acc >= 0.983, acc


def streets():
    "The lecture's chain on its copy of CamVid, as typed."
    if 'src' not in sets:
        path = untar_data(URLs.CAMVID_TIRAMISU)
        codes = np.loadtxt(path / 'codes.txt', dtype=str)

        def get_y_fn(x):
            return path / f'{x.parent.name}annot' / f'{x.stem}.png'

        src = (
            SegmentationItemList.from_folder(path).split_by_folder(valid='val').label_from_func(get_y_fn, classes=codes)
        )
        sets.update(src=src, codes=codes, camvid=path)
    return sets['src']


@pytest.mark.xdist_group('streets')
@needs(URLs.CAMVID_TIRAMISU)
def test_streets_lists():
    "367 and 101 streets with masks of their own size, 233 more in `test`; twelve classes, `Void` last."
    src = streets()
    assert (len(src.train), len(src.valid)) == (367, 101)
    for o in ('test', 'testannot'):
        assert len([f for f in (sets['camvid'] / o).ls() if f.suffix in ('.png', '.jpg')]) == 233
    assert len(sets['codes']) == 12 and sets['codes'][-1] == 'Void' and src.train.c == 12
    x, y = src.train[0]
    assert tuple(x.shape) == (3, 360, 480) and tuple(y.shape) == (1, 360, 480) and y.dtype == torch.int64
    assert repr(src.train).startswith('LabelList\ny: SegmentationLabelList (367 items)'), repr(src.train)


@pytest.mark.xdist_group('streets')
@needs(URLs.CAMVID_TIRAMISU)
def test_streets_masks():
    """Every value in all 701 masks is a class; the shares of the classes are CamVid's: a third road, one in a
    hundred pole."""
    streets()
    count = np.zeros(256, dtype=np.int64)
    for part in ('train', 'val', 'test'):
        for f in (sets['camvid'] / f'{part}annot').ls():
            count += np.bincount(np.array(open_mask(f)).ravel(), minlength=256)
    assert count[12:].sum() == 0 and count[:12].min() > 0
    share = dict(zip(sets['codes'], count / count.sum()))
    assert 0.25 < share['Road'] < 0.4 and 0.005 < share['Pole'] < 0.02 and 0.01 < share['Void'] < 0.08, share


@pytest.mark.xdist_group('streets')
@needs(URLs.CAMVID_TIRAMISU)
def test_streets_batches():
    "A batch as typed: (8, 3, 360, 480) floats and (8, 1, 360, 480) whole numbers, no class born at the edges."
    data = streets().transform(get_transforms(), tfm_y=True).databunch(bs=8).normalize(imagenet_stats)
    x, y = data.one_batch(denorm=False)
    assert (tuple(x.shape), tuple(y.shape)) == ((8, 3, 360, 480), (8, 1, 360, 480)) and y.dtype == torch.int64
    assert 0 <= int(y.min()) and int(y.max()) < 12 and abs(float(x.mean())) < 1
    assert data.c == 12 and data.classes == list(sets['codes'])


@pytest.mark.xdist_group('streets')
@needs(URLs.CAMVID_TIRAMISU)
def test_streets_learn():
    "Two epochs of a very small network at 45x60 get well over the road alone."
    set_seed(42)
    data = streets().transform(get_transforms(), size=(45, 60), tfm_y=True).databunch(bs=16).normalize(imagenet_stats)

    def conv(ni, nf, d=1):
        return [nn.Conv2d(ni, nf, 3, padding=d, dilation=d, bias=False), nn.BatchNorm2d(nf), nn.ReLU()]

    model = nn.Sequential(*conv(3, 16), *conv(16, 16, 2), *conv(16, 16, 4), nn.Conv2d(16, 12, 1))
    learn = Learner(data, model, metrics=[acc_camvid, MeanIoU(data.classes)], silent=True)
    learn.fit_one_cycle(2, 2e-2)
    acc, iou = learn.recorder.metrics[-1]
    assert acc > 0.5 and iou > 0.12, (acc, iou)


def pets(n=96):
    "A folder of `n` real pets: what the lecture does with all of them, with few."
    if 'pets' not in sets:
        path = untar_data(URLs.PETS)
        fns = ImageItemList.from_folder(path / 'images').items
        assert len(fns) >= 1470, len(fns)
        sets['pets'] = tempfile.TemporaryDirectory()
        (Path(sets['pets'].name) / 'images').mkdir()
        for fn in sorted(fns)[:: len(fns) // n][:n]:
            (Path(sets['pets'].name) / 'images' / fn.name).symlink_to(Path(fn).resolve())
    return Path(sets['pets'].name)


@pytest.mark.xdist_group('pets')
def test_pets_gan():
    """The lecture's cells of its third part, as typed but for pretrained weights, sizes and epochs; the GAN
    trains, both losses are recorded."""
    path = pets()
    path_hr = path / 'images'
    path_lr = path / 'crappy'
    from PIL import ImageDraw

    bs, size, arch = 8, 32, partial(models.resnet18, weights=None)

    def crappify(fn, i):
        dest = path_lr / fn.relative_to(path_hr)
        dest.parent.mkdir(parents=True, exist_ok=True)
        img = PIL.Image.open(fn)
        targ_sz = resize_to(img, 96, use_min=True)
        img = img.resize(targ_sz, resample=PIL.Image.BILINEAR).convert('RGB')
        w, h = img.size
        q = random.randint(10, 70)
        ImageDraw.Draw(img).text((random.randint(0, w // 2), random.randint(0, h // 2)), str(i))
        img.save(dest, quality=q)

    il = ImageItemList.from_folder(path_hr)
    parallel(crappify, il.items, max_workers=0)
    src = ImageImageList.from_folder(path_lr).random_split_by_pct(0.1, seed=42)

    def get_data(bs, size):
        data = (
            src.label_from_func(lambda x: path_hr / x.name)
            .transform(get_transforms(max_zoom=2.0), size=size, tfm_y=True)
            .databunch(bs=bs)
            .normalize(imagenet_stats, do_y=True)
        )

        data.c = 3
        return data

    data_gen = get_data(bs, size)
    wd, y_range, loss_gen = 1e-3, (-3.0, 3.0), MSELossFlat()

    def create_gen_learner():
        return unet_learner(
            data_gen,
            arch,
            wd=wd,
            blur=True,
            norm_type=NormType.Weight,
            self_attention=True,
            y_range=y_range,
            loss_func=loss_gen,
            pretrained=False,
            path=path,
            silent=True,
        )

    set_seed(42)
    learn_gen = create_gen_learner()
    start = learn_gen.validate()[0]
    learn_gen.fit_one_cycle(1, pct_start=0.8)
    assert learn_gen.recorder.val_losses[-1] < start, (learn_gen.recorder.val_losses, start)
    learn_gen.save('gen-pre2')

    name_gen = 'image_gen'
    path_gen = path / name_gen
    path_gen.mkdir(exist_ok=True)

    def save_preds(dl):
        i = 0
        names = dl.dataset.items
        for b in dl:
            preds = learn_gen.pred_batch(batch=b, reconstruct=True)
            for o in preds:
                o.save(path_gen / names[i].name)
                i += 1

    save_preds(data_gen.fix_dl)
    assert PIL.Image.open(path_gen.ls()[0]).size == (size, size) and len(path_gen.ls()) == len(data_gen.train_ds)

    def get_crit_data(classes, bs, size):
        src = ImageItemList.from_folder(path, include=classes).random_split_by_pct(0.1, seed=42)
        ll = src.label_from_folder(classes=classes)
        data = ll.transform(get_transforms(max_zoom=2.0), size=size).databunch(bs=bs).normalize(imagenet_stats)
        data.c = 3
        return data

    loss_critic = AdaptiveLoss(nn.BCEWithLogitsLoss())

    def create_critic_learner(data, metrics):
        return Learner(
            data, gan_critic(nf=16, n_blocks=2), metrics=metrics, loss_func=loss_critic, wd=0, path=path, silent=True
        )

    data_crit = get_crit_data([name_gen, 'images'], bs=bs, size=64)
    learn_critic = create_critic_learner(data_crit, accuracy_thresh_expand)
    learn_critic.fit_one_cycle(1, 1e-3)
    learn_critic.save('critic-pre2')
    data_crit = get_crit_data(['crappy', 'images'], bs=bs, size=64)
    learn_crit = create_critic_learner(data_crit, metrics=None).load('critic-pre2')
    data_gen = get_data(bs, 64)
    learn_gen = create_gen_learner().load('gen-pre2')
    switcher = partial(AdaptiveGANSwitcher, critic_thresh=0.65)
    learn = GANLearner.from_learners(
        learn_gen,
        learn_crit,
        weights_gen=(1.0, 50.0),
        show_img=False,
        switcher=switcher,
        opt_func=partial(optim.Adam, betas=(0.0, 0.99)),
        wd=wd,
    )
    learn.callback_fns.append(partial(GANDiscriminativeLR, mult_lr=5.0))
    learn.silent = True
    learn.fit(1, 1e-4)
    assert learn.recorder.names[-2:] == ['gen_loss', 'disc_loss'] and len(learn.gan_trainer.raw[0]) > 0, (
        learn.recorder.names
    )


@pytest.mark.xdist_group('pets')
def test_pets_features():
    """The feature loss learns: with light steps on real pets its validation loss falls below that of doing
    nothing, and all terms are in the table."""
    path = pets()
    data = photo_data(path / 'images', small_pets(path, 48), 64, 8)
    learn = light_learner(
        data, small_encoder, False, loss_func=restoration_loss(data), callback_fns=LossMetrics, wd=1e-3, silent=True
    )
    start = learn.validate()[0]
    learn.fit_one_cycle(2, 5e-3)
    assert learn.recorder.names[3:] == ['pixel', 'feat_0', 'feat_1', 'feat_2', 'gram_0', 'gram_1', 'gram_2']
    assert learn.recorder.val_losses[-1] < start, (learn.recorder.val_losses, start)


@needs(URLs.BEDROOMS535)
def test_bedrooms():
    """535 photographs; a batch of noise and pictures as the lecture makes it; five of the critic's batches for
    each of the generator's."""
    path = untar_data(URLs.BEDROOMS535)
    data = (
        GANItemList.from_folder(path, noise_sz=100)
        .split_none()
        .label_from_func(noop)
        .transform(tfms=[[crop_pad(size=32, row_pct=(0, 1), col_pct=(0, 1))], []], size=32, tfm_y=True)
        .databunch(bs=64)
        .normalize(stats=[torch.tensor([0.5, 0.5, 0.5]), torch.tensor([0.5, 0.5, 0.5])], do_x=False, do_y=True)
    )
    assert len(data.train_ds) == 535
    x, y = data.one_batch(denorm=False)
    assert (
        (tuple(x.shape), tuple(y.shape)) == ((64, 100, 1, 1), (64, 3, 32, 32))
        and -1 <= float(y.min())
        and float(y.max()) <= 1
    )
    learn = GANLearner.wgan(
        data,
        basic_generator(32, 3, n_features=8),
        basic_critic(32, 3, n_features=8),
        switch_eval=False,
        show_img=False,
        silent=True,
        opt_func=partial(optim.Adam, betas=(0.0, 0.99)),
        wd=0.0,
    )
    learn.fit(2, 2e-4)
    crit, gen = [len(o) for o in learn.gan_trainer.raw]
    assert crit + gen == 2 * len(data.train_dl) and gen == (crit + gen) // 6, (crit, gen)


def test_numbers():
    "The numbers in words: 50 079 and 13 017 tokens, 38 words in the lecture's order."
    path = untar_data(URLs.HUMAN_NUMBERS)

    def readnums(d):
        return [', '.join(o.strip() for o in open(path / d).readlines())]

    train, valid = TextList(readnums('train.txt'), path=path), TextList(readnums('valid.txt'), path=path)
    src = ItemLists(path=path, train=train, valid=valid).label_for_lm()
    data = src.databunch(bs=64)
    assert [len(o.x.ids[0]) for o in (data.train_ds, data.valid_ds)] == [50079, 13017]
    assert len(data.vocab.itos) == 38


@pytest.mark.parametrize(
    'name',
    [
        pytest.param(o, marks=pytest.mark.xdist_group('digits' if o == 'digits' else 'weights'))
        for o in weights_command().stored()
    ],
)
def test_stored_weights(name):
    "A model in `weights/` has the score that its card claims."
    if name == 'cifar10' and not os.environ.get('LESSON7_FULL'):
        pytest.skip('60,000 files would be unpacked: set LESSON7_FULL=1')
    made = weights_command()
    measured = made.MODELS[name].score(made.learner_of(name))
    assert abs(measured - made.card_of(name)['score']) <= 0.002
