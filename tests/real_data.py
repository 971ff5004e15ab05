"""Checks on the real digits: needs a mirror that holds mnist_png.tgz (LESSON7_MIRROR), or the internet. Ends with `N passed, N failed`.

    LESSON7_MIRROR=path/to/archives python tests/real_data.py
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


def run():
    passed, failed = 0, 0
    for name,f in list(globals().items()):
        if not name.startswith('test_'): continue
        start = time.time()
        try: f(); passed += 1; word = 'ok'
        except Exception: traceback.print_exc(); failed += 1; word = 'FAILED'
        print(f'{word:8} {time.time()-start:5.1f} s  real data: {name}', flush=True)
    print(f'{passed} passed, {failed} failed')
    return bool(failed)


if __name__=='__main__': sys.exit(run())
