"""Checks on the real data: digits (mnist_png.tgz, from a mirror or the internet) and streets (camvid_tiramisu.tgz, on mirrors only: left out, and said so,
where there is none). Ends with `N passed, N failed`.

    LESSON7_MIRROR=path/to/archives python tests/real_data.py [words that names of checks must contain]
"""
import sys, tempfile, time, traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from lesson7_lib.all import *
from lesson7_lib.demo import digit_models, main

sets = {}


def digits():
    "The lecture's lists, made once."
    if 'll' not in sets:
        path = untar_data(URLs.MNIST)
        il = ImageItemList.from_folder(path, convert_mode='L')
        sets.update(path=path, il=il, ll=il.split_by_folder(train='training', valid='testing').label_from_folder())
    return sets['ll']


def test_lists_and_prints():
    "60 000 and 10 000 digits; the lists print themselves as in the lecture."
    ll = digits()
    assert len(sets['il'])==70000 and (len(ll.train), len(ll.valid))==(60000, 10000)
    assert repr(sets['il']).startswith('ImageItemList (70000 items)\n[Image (1, 28, 28), Image (1, 28, 28)'), repr(sets['il'])
    assert 'y: CategoryList (60000 items)' in repr(ll) and repr(ll).rstrip().endswith('Test: None'), repr(ll)
    x,y = ll.train[0]
    assert tuple(x.shape)==(1, 28, 28) and str(y) in '0123456789'


def test_statistics():
    "Mean and deviation of the training digits are the known ones (.1307 and .3081), and a normalised batch has nearly 0 and 1."
    data = bunch()
    xb,_ = data.one_batch(denorm=False)
    assert abs(float(xb.mean())) < .1 and abs(float(xb.std())-1) < .1, (xb.mean(), xb.std())
    total, square, n = 0., 0., 0
    for xb,_ in data.dl(DatasetType.Fix):
        xb = data.denorm(xb).double()
        total, square, n = total+float(xb.sum()), square+float((xb**2).sum()), n+xb.numel()
    mean = total/n
    assert abs(mean-.1307) < 2e-4 and abs((square/n-mean**2)**.5-.3081) < 2e-4, (mean, (square/n-mean**2)**.5)


def bunch(bs=128):
    if 'data' not in sets: sets['data'] = digits().transform(([*rand_pad(padding=3, size=28, mode='zeros')], [])).databunch(bs=bs).normalize()
    return sets['data']


def test_three_epochs():
    "The lecture's basic CNN, 3 epochs at .1: at least 98.3 % with one seed."
    set_seed(42)
    def conv(ni, nf): return nn.Conv2d(ni, nf, kernel_size=3, stride=2, padding=1)
    widths = [1, 8, 16, 32, 16, 10]
    layers = [[conv(a, b), nn.BatchNorm2d(b), nn.ReLU()] for a,b in zip(widths, widths[1:])]
    model = nn.Sequential(*[o for block in layers for o in block][:-1], Flatten())
    learn = Learner(bunch(), model, loss_func=nn.CrossEntropyLoss(), metrics=accuracy)
    assert 'Total params: 12126' in str(learn.summary()).replace(',', ''), learn.summary()
    learn.fit_one_cycle(3, max_lr=0.1)
    acc = float(learn.recorder.metrics[-1][0])
    assert acc >= .983, acc


def test_demo_full():
    "`lesson7_demo --full` trains on the real digits, and its page says so."
    with tempfile.TemporaryDirectory() as d:
        assert main(['--full', '--epochs', '1', '--out', d])==0
        page = (Path(d)/'index.html').read_text(encoding='utf-8')
        assert 'Real data.' in page and 'Synthetic data' not in page and '10,000 digits' in page


def streets():
    "The lecture's chain on its copy of CamVid, as typed."
    if 'src' not in sets:
        path = untar_data(URLs.CAMVID_TIRAMISU)
        codes = np.loadtxt(path/'codes.txt', dtype=str)
        get_y_fn = lambda x: path/f'{x.parent.name}annot'/f'{x.stem}.png'
        src = (SegmentationItemList.from_folder(path)
               .split_by_folder(valid='val')
               .label_from_func(get_y_fn, classes=codes))
        sets.update(src=src, codes=codes, camvid=path)
    return sets['src']


def test_streets_lists():
    "367 and 101 streets with masks of their own size, 233 more in `test`; twelve classes, `Void` last."
    src = streets()
    assert (len(src.train), len(src.valid)) == (367, 101)
    for o in ('test', 'testannot'): assert len([f for f in (sets['camvid']/o).ls() if f.suffix in ('.png', '.jpg')]) == 233
    assert len(sets['codes']) == 12 and sets['codes'][-1] == 'Void' and src.train.c == 12
    x,y = src.train[0]
    assert tuple(x.shape) == (3, 360, 480) and tuple(y.shape) == (1, 360, 480) and y.dtype == torch.int64
    assert repr(src.train).startswith('LabelList\ny: SegmentationLabelList (367 items)'), repr(src.train)


def test_streets_masks():
    "Every value in all 701 masks is a class; the shares of the classes are CamVid's: a third road, one in a hundred pole."
    count = np.zeros(256, dtype=np.int64)
    for part in ('train', 'val', 'test'):
        for f in (sets['camvid']/f'{part}annot').ls(): count += np.bincount(np.array(open_mask(f)).ravel(), minlength=256)
    assert count[12:].sum() == 0 and count[:12].min() > 0
    share = dict(zip(sets['codes'], count/count.sum()))
    assert .25 < share['Road'] < .4 and .005 < share['Pole'] < .02 and .01 < share['Void'] < .08, share


def test_streets_batches():
    "A batch as typed: (8, 3, 360, 480) floats and (8, 1, 360, 480) whole numbers, no class born at the edges."
    data = (streets().transform(get_transforms(), tfm_y=True).databunch(bs=8).normalize(imagenet_stats))
    x,y = data.one_batch(denorm=False)
    assert (tuple(x.shape), tuple(y.shape)) == ((8, 3, 360, 480), (8, 1, 360, 480)) and y.dtype == torch.int64
    assert 0 <= int(y.min()) and int(y.max()) < 12 and abs(float(x.mean())) < 1
    assert data.c == 12 and data.classes == list(sets['codes'])


def test_streets_learn():
    "Two epochs of a very small network at 45x60 get well over the road alone."
    set_seed(42)
    data = (streets().transform(get_transforms(), size=(45, 60), tfm_y=True).databunch(bs=16).normalize(imagenet_stats))
    def conv(ni, nf, d=1): return [nn.Conv2d(ni, nf, 3, padding=d, dilation=d, bias=False), nn.BatchNorm2d(nf), nn.ReLU()]
    model = nn.Sequential(*conv(3, 16), *conv(16, 16, 2), *conv(16, 16, 4), nn.Conv2d(16, 12, 1))
    learn = Learner(data, model, metrics=[acc_camvid, MeanIoU(data.classes)], silent=True)
    learn.fit_one_cycle(2, 2e-2)
    acc,iou = learn.recorder.metrics[-1]
    assert acc > .5 and iou > .12, (acc, iou)


def wanted():
    "The checks of this run, by the words given; those on streets only where a copy is to be had."
    names = [o for o in globals() if o.startswith('test_') and all(w in o for w in sys.argv[1:])]
    if has_data(URLs.CAMVID_TIRAMISU): return names
    print('left out: the checks on streets; camvid_tiramisu.tgz is on no mirror that is named by LESSON7_MIRROR')
    return [o for o in names if 'streets' not in o]


def run():
    passed, failed = 0, 0
    for name in wanted():
        f, start = globals()[name], time.time()
        try: f(); passed += 1; word = 'ok'
        except Exception: traceback.print_exc(); failed += 1; word = 'FAILED'
        print(f'{word:8} {time.time()-start:5.1f} s  real data: {name}', flush=True)
    print(f'{passed} passed, {failed} failed')
    return bool(failed)


if __name__=='__main__': sys.exit(run())
