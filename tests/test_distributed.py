"""Two processes that share the batches (gloo, CPU, through Accelerate) train as one does with batches twice as large:
the same losses, and the same metrics over the whole validation set. Kills: `test_kills.py`.

Two layers make a difference, and have kinds of their own: the statistics of batch norm are those of one process's
batch, and dropout draws other masks in each process.
"""

import importlib.util
import json
import socket

import pytest
from copies import finish

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec('accelerate') is None, reason='several processes need the package accelerate'
)

CHILD = '''
import json, os, sys
from pathlib import Path

rank, n, port, place, kinds = sys.argv[1:]
rank, n, place = int(rank), int(n), Path(place)
if n > 1:
    os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(n), LOCAL_WORLD_SIZE=str(n),
                      MASTER_ADDR='127.0.0.1', MASTER_PORT=port, ACCELERATE_USE_CPU='true')

import torch, torch.nn.functional as F
from torch import nn
from lesson7_lib.core.callback import Accumulate, CSVLogger, GradientClipping
from lesson7_lib.core.databunch import DataBunch
from lesson7_lib.core.env import set_seed
from lesson7_lib.core.hooks import Flatten
from lesson7_lib.core.learner import Learner, load_learner
from lesson7_lib.core.metrics import accuracy, mse
from lesson7_lib.resnet_mnist import conv_layer

torch.set_num_threads(1)
BS = 8 // n

class Counted:
    "A metric with a state of its own: the median of the largest score, of all items."
    name = 'counted'
    def reset(self): self.seen = []
    def update(self, pred, targ): self.seen.append(pred.flatten(1).amax(1))
    def compute(self): return torch.cat(self.seen).median()

def conv(*args, **kwargs): return conv_layer(*args, norm_type=None, **kwargs)

def cnn(**kwargs):
    from torchmetrics.classification import MulticlassAccuracy
    from lesson7_lib.vision.batch_transforms import BatchTfms
    from lesson7_lib.vision.transforms import get_transforms
    x, y = torch.rand(69, 1, 8, 8), torch.randint(0, 3, (69,))
    data = DataBunch.from_tensors(x[:48], y[:48], x[48:], y[48:], bs=BS, val_bs=4)  # six batches, the last of one item
    model = nn.Sequential(conv(1, 8, stride=2), conv(8, 8, stride=2), Flatten(), nn.Linear(32, 3))
    data.train_ds.tfms = BatchTfms(get_transforms(max_warp=0.0)[0], size=8)
    torchs = MulticlassAccuracy(3, average='micro')
    torchs.name = 'torchmetrics'
    return Learner(data, model, metrics=[accuracy, Counted(), torchs], callback_fns=[CSVLogger, GradientClipping], **kwargs)

def unet(**kwargs):
    from lesson7_lib.unet import FastUnet
    x, y = torch.rand(32, 3, 16, 16), torch.randint(0, 3, (32, 1, 16, 16))
    data = DataBunch.from_tensors(x[:24], y[:24], x[24:], y[24:], bs=BS, val_bs=BS)
    body = nn.Sequential(*[conv(i, o, stride=2) for i, o in ((3, 6), (6, 8), (8, 10))])
    model = FastUnet(body, 3, widths=(8, 8, 8))
    for parent in list(model.modules()):
        for name, m in parent.named_children():
            if isinstance(m, nn.BatchNorm2d): setattr(parent, name, nn.Identity())
    return Learner(data, model, loss_func=mask_loss, **kwargs)

def mask_loss(pred, targ): return F.cross_entropy(pred, targ[:, 0])

def dynamic(**kwargs):
    from lesson7_lib.unet import DynamicUnet
    x, y = torch.rand(32, 3, 16, 16), torch.randint(0, 3, (32, 1, 16, 16))
    data = DataBunch.from_tensors(x[:24], y[:24], x[24:], y[24:], bs=BS, val_bs=BS)
    body = nn.Sequential(*[conv(i, o, stride=2) for i, o in ((3, 6), (6, 8))])
    model = DynamicUnet(body, 3, self_attention=True, norm_type='Weight')
    for parent in list(model.modules()):
        for name, m in parent.named_children():
            if isinstance(m, nn.BatchNorm2d): setattr(parent, name, nn.GroupNorm(1, m.num_features))  # item by item
    return Learner(data, model, loss_func=mask_loss, **kwargs)

def two_layers(layer, **kwargs):
    x, y = torch.randn(32, 6), torch.randint(0, 3, (32,))
    data = DataBunch.from_tensors(x[:24], y[:24], x[24:], y[24:], bs=BS, val_bs=BS)
    return Learner(data, nn.Sequential(nn.Linear(6, 16), layer, nn.ReLU(), nn.Linear(16, 3)), **kwargs)

def norm(**kwargs): return two_layers(nn.BatchNorm1d(16), **kwargs)

class Masks(nn.Dropout):
    "Remembers what it dropped."
    def forward(self, x):
        res = super().forward(x)
        if self.training: masks.append((res == 0).tolist())
        return res

masks = []

def dropout(**kwargs): return two_layers(Masks(0.5), **kwargs)

def gan(**kwargs):
    from lesson7_lib.crappify_gan import GANLearner, gan_loss_from_func
    x = torch.rand(32, 3, 8, 8)
    data = DataBunch.from_tensors(x[:24], 1 - x[:24], x[24:], 1 - x[24:], bs=BS, val_bs=BS)
    critic = nn.Sequential(conv(3, 4, stride=2), conv(4, 4, stride=2), Flatten(), nn.Linear(16, 1))
    losses = gan_loss_from_func(F.l1_loss, lambda p, y: F.binary_cross_entropy_with_logits(p[:, 0], y))
    return GANLearner(data, nn.Sequential(conv(3, 4), nn.Conv2d(4, 3, 1)), critic, *losses, show_img=False, metrics=mse, **kwargs)

class Words(nn.Module):
    def __init__(self, nv):
        super().__init__()
        from lesson7_lib.text.language import TextEncoder
        self.encoder, self.out = TextEncoder(nv, 16, dropout=0.0), nn.Linear(16, nv)
    def reset(self): self.encoder.reset()
    def forward(self, x): return self.out(self.encoder(x))

def gru(**kwargs):
    from lesson7_lib.text.evaluate import ResetState
    from lesson7_lib.text.text_list import TextList
    texts = [' '.join(f'w{int(i)}' for i in torch.randint(0, 20, (600,))) for _ in range(4)]
    data = TextList(texts, min_freq=1).split_by_idx([3]).label_for_lm().databunch(bs=BS, bptt=12, max_len=4)
    return Learner(data, Words(len(data.vocab.itos)), metrics=accuracy, callbacks=[ResetState()], **kwargs)

def table(**kwargs):
    from lesson7_lib.tabular import tabular_learner
    from lesson7_lib.core.table_data import Categorify, Normalize, TabularList
    words = 'abcd'
    g = torch.rand(80).tolist()
    rows = dict(a=[words[int(o * 4)] for o in g], b=torch.rand(80).tolist(), y=[o * 2 for o in g])
    whole = TabularList.from_df(rows, cat_names=['a'], cont_names=['b'], procs=[Categorify, Normalize])
    data = whole.split_by_idx(range(60, 80)).label_from_df('y').databunch(bs=BS, val_bs=BS)
    learn = tabular_learner(data, [16], use_bn=False, metrics=mse, **kwargs)
    learn.model.bn_cont = nn.Identity()
    return learn.split([learn.model])

res = {}
for kind in kinds.split(','):
    set_seed(3)
    learn = globals()[kind](path=place/f'{kind}{n}')
    if n > 1 or kind == 'cnn': learn.to_distributed()  # in one process too: it augments by item
    set_seed(4)
    if kind == 'cnn':
        learn.lr_find(num_it=8)
        res['lr_find'] = learn.recorder.raw_losses
    extra = [Accumulate(n=2)] if kind == 'unet' else []
    learn.fit_one_cycle(2, .02, callbacks=extra)
    rec = learn.recorder
    res[kind] = dict(losses=rec.raw_losses, valid=rec.val_losses, metrics=rec.metrics,
                     weights={k: v.tolist() for k, v in learn.model.state_dict().items()})
    if kind == 'cnn':
        res['validate'] = learn.validate()
        learn.save('weights')
        learn.load('weights')
        x = learn.data.valid_ds.x.items
        res['export'] = (load_learner(learn.export()).predict_batch(x) - learn.predict_batch(x)).abs().max().item()
        res['preds'] = len(learn.get_preds()[0])
(place/f'{n}_{rank}.json').write_text(json.dumps(res))
(place/f'masks{n}_{rank}.json').write_text(json.dumps(masks))
if n > 1: torch.distributed.destroy_process_group()
'''
EXACT = ['cnn', 'unet', 'dynamic', 'gan', 'gru', 'table']
OTHER = ['norm', 'dropout']  # one process with twice the batch trains otherwise


def begin(originals, n, place):
    "Starts `n` processes."
    place.mkdir(exist_ok=True)
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    args = [(rank, n, port, place, ','.join(EXACT + OTHER)) for rank in range(n)]
    return [originals.start(CHILD, *o, printed=place / f'{n}_{o[0]}.txt', cwd=place, limit=300) for o in args]


def read(place, n):
    return [json.loads((place / f'{n}_{rank}.json').read_text()) for rank in range(n)]


def close(a, b, tolerance=1e-4):
    "Are all numbers in two structures of lists and dictionaries that close?"
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(close(a[k], b[k], tolerance) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(close(x, y, tolerance) for x, y in zip(a, b))
    return abs(a - b) <= tolerance


def test_two_processes_as_one_with_twice_the_batch(originals, tmp_path):
    running = [begin(originals, n, tmp_path) for n in (1, 2)]
    for processes in running:
        finish(processes)
    ((one,), (first, second)) = read(tmp_path, 1), read(tmp_path, 2)
    assert first.keys() == second.keys() == one.keys()
    for key in one:
        assert close(first[key], second[key], 0), f'the processes differ: {key}'
        if key in OTHER:
            assert not close(one[key]['losses'], first[key]['losses'], 1e-3), f'two processes as one: {key}'
        else:
            assert close(one[key], first[key]), f'two processes end elsewhere than one: {key}'
    assert one['preds'] == 21 and len(one['cnn']['losses']) == 12
    masks = [json.loads((tmp_path / f'masks2_{rank}.json').read_text()) for rank in (0, 1)]
    assert len(masks[0]) == len(masks[1]) == 6 and all(a != b for a, b in zip(*masks, strict=True))
    printed = [(tmp_path / f'2_{rank}.txt').read_text() for rank in (0, 1)]
    assert 'train_loss' in printed[0] and 'train_loss' not in printed[1]
    assert len((tmp_path / 'cnn2/history.csv').read_text().splitlines()) == 3  # written by one of them

    from lesson7_lib.core.checkpoint import load_tensors

    names = [load_tensors(tmp_path / f'cnn{n}/models/weights.safetensors')[0].keys() for n in (1, 2)]
    assert names[0] == names[1] and not any('module.' in o for o in names[1])
