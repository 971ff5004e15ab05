"""Checkpoints: every architecture of the library survives a file, and every model with a hidden state a break.

The architectures are collected from the modules themselves: a new one without an example here fails `test_examples`.
"""

import enum
import importlib
import inspect
import pkgutil
import typing
import warnings
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn, optim

import lesson7_lib
from lesson7_lib.char_rnn import CharSeqStatefulLSTM
from lesson7_lib.core.architecture import ArchitectureError, build_model, model_architecture, registered
from lesson7_lib.core.callback import Callback
from lesson7_lib.core.checkpoint import load_state, load_tensors, save_tensors
from lesson7_lib.core.databunch import DataBunch
from lesson7_lib.core.env import set_seed
from lesson7_lib.core.hooks import flatten_all, map_tensors
from lesson7_lib.core.items import ItemLists
from lesson7_lib.core.learner import Learner
from lesson7_lib.core.training_state import load_opt_state, opt_state, reset_state
from lesson7_lib.crappify_gan import gan_critic
from lesson7_lib.feature_loss import AddUnet
from lesson7_lib.resnet_mnist import SequentialEx
from lesson7_lib.text.language import LanguageModel, TextEncoder
from lesson7_lib.text.text_batches import TextLMDataBunch
from lesson7_lib.text.text_list import TextList
from lesson7_lib.unet import DynamicUnet, small_encoder
from lesson7_lib.vision.unet import FastUnet
from lesson7_lib.wgan import basic_generator

MODULES = [m.name for m in pkgutil.walk_packages(lesson7_lib.__path__, 'lesson7_lib.')]
NV = 16  # words of a vocabulary


def pic(n=3, side=16):
    return torch.rand(2, n, side, side)


def ids():
    return torch.randint(2, NV, (5, 2))


def maps(n=4):
    return pic(n, 8)


def two(n=3):
    return pic(n), pic(n)


def encoder():
    return small_encoder((4, 8))


def dynamic(block=None, **kwargs):
    return DynamicUnet(encoder(), 3, (16, 16), **({} if block is None else dict(block=block)), **kwargs)


def gan(cls):
    return cls(basic_generator(8, 3, noise_sz=4, n_features=4), gan_critic(nf=4, n_blocks=1))


def words(cls, **kwargs):
    return cls(NV, 8, **kwargs)


def chars(cls, **kwargs):
    return cls(NV, 4, n_hidden=8, **kwargs)


def number_classifier(cls):
    from lesson7_lib.human_numbers_rnn import Model5

    return cls(words(Model5), 2)


def text_classifier(cls):
    return cls(TextEncoder(NV, 8), 2, n_hidden=4)


def feature_maps(cls):
    return cls(encoder(), [0, 1])


def feature_loss(cls, **kwargs):
    return cls(encoder(), [0, 1], **kwargs)


def flattened(cls):
    return cls(nn.MSELoss, floatify=True)


def in_unet(block):
    return dynamic(block)


def on_maps(cls, n_maps=1, n_out=2):
    from lesson7_lib.transfer_cam import create_head

    return cls(encoder(), create_head(8 * n_maps, n_out))


def rows():
    return torch.randint(3, (4, 1)), torch.rand(4, 1)


# name -> (makes a small one, called with the class or function; makes what it is called with)
EXAMPLES = {
    'Lambda': (lambda o: o(flatten_all), pic),
    'torchvision_body': (lambda o: o('squeezenet1_1'), lambda: pic(side=32)),
    'GANModule': (gan, pic),
    'FastBlock': (lambda o: FastUnet(encoder(), 3, (16, 16), widths=(4, 4), block=o), pic),
    'SigmoidRange': (lambda o: o(-1.0, 2.0), pic),
    'FastUnet': (lambda o: o(encoder(), 3, (16, 16), y_range=(0.0, 1.0), widths=(4, 4)), pic),
    'CausalTransformer': (lambda o: o(NV, 8, n_blocks=1, heads=2), ids),
    'SeqDropout': (lambda o: o(0.5), lambda: torch.rand(3, 2, 4)),
    'TextEncoder': (words, ids),
    'LanguageModel': (partial(words, cell='LSTM'), ids),
    'TextClassifier': (text_classifier, lambda: ids().t()),
    **dict.fromkeys(['Model0', 'Model1', 'Model2', 'Model3', 'Model4', 'Model5'], (words, ids)),
    'BatchNorm1dFlat': (lambda o: o(4), lambda: torch.rand(3, 2, 4)),
    **dict.fromkeys(['Char3Model', 'CharLoopModel', 'CharRnn'], (chars, lambda: tuple(ids()[:3]))),
    'CharSeqStatefulRnn': (partial(chars, nl=2), ids),
    'CharSeqStatefulRnn2': (chars, ids),
    'CharSeqStatefulGRU': (chars, ids),
    'CharSeqStatefulLSTM': (chars, ids),
    'ResBlock': (lambda o: o(4), maps),
    'MergeLayer': (lambda o: SequentialEx(nn.Conv2d(4, 4, 1), o(dense=True)), maps),
    'SequentialEx': (lambda o: o(nn.Conv2d(4, 4, 1), nn.ReLU()), maps),
    'TodayBlock': (lambda o: o(4), maps),
    'PixelShuffle_ICNR': (lambda o: o(4, blur=True), maps),
    'SelfAttention': (lambda o: o(8), lambda: maps(8)),
    **dict.fromkeys(['UnetBlock', 'NoSkip', 'ResnetBlock', 'LateBlock'], (in_unet, pic)),
    'DynamicUnet': (lambda o: dynamic(self_attention=True, norm_type='Spectral', y_range=(0.0, 1.0)), pic),
    'gan_critic': (lambda o: o(nf=4, n_blocks=1), pic),
    'AddBlock': (lambda o: AddUnet(encoder(), img_size=(16, 16), widths=(4, 4)), pic),
    'AddUnet': (lambda o: o(encoder(), img_size=(16, 16), widths=(4, 4)), pic),
    'basic_critic': (lambda o: o(16, 3, n_features=4), pic),
    **dict.fromkeys(
        ['basic_generator', 'plain_generator'],
        (lambda o: o(16, 3, noise_sz=4, n_features=4), lambda: torch.randn(2, 4, 1, 1)),
    ),
    'FlattenedLoss': (flattened, two),
    **dict.fromkeys(['MSELossFlat', 'L1LossFlat', 'BCEWithLogitsFlat'], (lambda o: o(), two)),
    'CrossEntropyFlat': (lambda o: o(), lambda: (torch.randn(4, 3), torch.randint(3, (4,)))),
    'Flatten': (lambda o: o(), pic),
    'res_block': (lambda o: o(4, bottle=True), maps),
    'AdaptiveLoss': (lambda o: o(nn.BCEWithLogitsLoss()), lambda: (torch.randn(2, 3), torch.rand(2))),
    'NoopLoss': (lambda o: o(), lambda: (torch.randn(2, 3), torch.rand(2))),
    'WassersteinLoss': (lambda o: o(), two),
    'FeatureLoss': (partial(feature_loss, layer_wgts=[1.0, 2.0]), two),
    'LPIPSLoss': (feature_loss, two),
    'FrequencyLoss': (lambda o: o(), two),
    'PixelLoss': (lambda o: o(), two),
    'Tagger': (lambda o: o(NV, 3, 4, both=True), ids),
    'NumberClassifier': (number_classifier, lambda: ids().t()),
    'AttentionBlock': (lambda o: o(8, 2), lambda: (torch.rand(2, 5, 8), torch.zeros(2, 5, 5))),
    'FeatureMaps': (feature_maps, pic),
    'FeatureDistance': (lambda o: o(weights=False, layers=(1,)), lambda: (pic(side=32), pic(side=32))),
    'CriticAugment': (lambda o: o(), pic),
    'Unet': (lambda o: FastUnet(encoder(), 3, (16, 16), widths=(4, 4)), pic),
    'basic_cnn': (lambda o: o(), lambda: pic(1, 28)),
    'conv_cnn': (lambda o: o(), lambda: pic(1, 28)),
    'resnet_mnist': (lambda o: o(), lambda: pic(1, 28)),
    'today_mnist': (lambda o: o(), lambda: pic(1, 28)),
    'deep_cnn': (lambda o: o(1), lambda: pic(1, 28)),
    'conv_layer': (lambda o: o(3, 4, norm_type='Weight', leaky=0.1), pic),
    'conv2': (lambda o: o(3, 4), pic),
    'conv_pool': (lambda o: o(3, 4), pic),
    'conv_bn': (lambda o: o(3, 4), pic),
    'batchnorm_2d': (lambda o: o(3), pic),
    'relu': (lambda o: o(leaky=0.1), pic),
    'small_encoder': (lambda o: o((4, 8)), pic),
    'model_of_2018': (lambda o: o(importlib.import_module('lesson7_lib.human_numbers_rnn').Model3, nv=NV, nh=8), ids),
    'SimpleNet': (lambda o: o([3 * 16 * 16, 8, 2]), pic),
    **dict.fromkeys(['ConvNet', 'ConvNet2'], (lambda o: o([3, 4, 4], 2), pic)),
    'ConvLayer': (lambda o: o(4, 6), maps),
    **dict.fromkeys(['BnLayer', 'ResnetLayer'], (lambda o: o(4, 4, 1), maps)),
    **dict.fromkeys(['ConvBnNet', 'ConvBnNet2', 'Resnet', 'Resnet2'], (lambda o: o([4, 6], 2), pic)),
    'TodayCifar': (lambda o: o((8, 8, 8), 2), pic),
    'fast_norm': (lambda o: o(4), maps),
    'conv_group': (lambda o: o(4, 6), maps),
    'AdaptiveConcatPool2d': (lambda o: o(), maps),
    'CosineLinear': (lambda o: o(4, 3), lambda: torch.rand(2, 4)),
    'PooledGrid': (lambda o: o(), maps),
    **dict.fromkeys(['create_head', 'cosine_head', 'linear_head'], (lambda o: o(4, 2), maps)),
    'SiameseModel': (partial(on_maps, n_maps=2), two),
    'Embedder': (on_maps, pic),
    'TabularModel': (lambda o: o([(3, 2)], 1, 2, [5]), rows),
    'NumberPieces': (lambda o: o([[0.0, 0.5, 1.0], [0.0, 1.0]]), lambda: torch.rand(3, 2)),
    'TableEnsemble': (lambda o: o([(3, 2)], [[0.0, 0.5, 1.0]], 2), rows),
    'MembersLoss': (lambda o: o(nn.CrossEntropyLoss()), lambda: (torch.randn(4, 2, 3), torch.randint(3, (4,)))),
    'PlainBlock': (lambda o: o(4), maps),
    'ResidualLevels': (lambda o: o((4, 6), (1, 1)), maps),
    'DamageEstimate': (lambda o: o(3), pic),
    'RestorationNet': (lambda o: o(widths=(8, 8), depths=(1, 1)), pic),
    'RestorationLoss': (lambda o: o(), lambda: (pic(), pic(), torch.rand(2, 5))),
    'create_body': (lambda o: o('squeezenet1_1', False), lambda: pic(side=32)),
    'feature_net': (lambda o: o('squeezenet1_1', weights=False), lambda: pic(side=32)),
}
# exported, but no architectures of this library: a base class, what builds from a file or a choice of losses, and PyTorch's own large networks
OTHERS = {'Module', 'build_model', 'restorer_from', 'restoration_loss', 'vgg16_bn', 'ImageFeatures', 'TermLoss'}


def _makes_module(f):
    "Does this function say that it returns a module, made of something else than a module?"
    try:
        hints = typing.get_type_hints(f)
    except (NameError, TypeError):
        return False
    returned = hints.pop('return', None)
    first = next(iter(hints.values()), None)
    return _is_module(returned) and not _is_module(first)


def _is_module(o):
    return inspect.isclass(o) and issubclass(o, nn.Module)


def architectures():
    "What modules register or export: name -> class or function."
    res = {}
    for name in MODULES:
        module = importlib.import_module(name)
        for n in getattr(module, '__all__', []):
            o = getattr(module, n)
            if getattr(o, '__module__', None) == name and (_is_module(o) or inspect.isfunction(o) and _makes_module(o)):
                res[n] = o
    own = {k: o for k, o in registered().items() if getattr(o, '__module__', '').startswith('lesson7_lib')}
    enums = {k for k, o in own.items() if inspect.isclass(o) and issubclass(o, enum.Enum)}
    functions = {'flatten_items', 'flatten_all'}  # arguments of a `Lambda`
    return {k: o for k, o in {**res, **own}.items() if k not in enums | functions | OTHERS}


ARCHITECTURES = architectures()


def test_examples():
    "Each architecture has an example here, and each example is one of an architecture."
    assert sorted(EXAMPLES) == sorted(ARCHITECTURES)


def call(model, args):
    reset_state(model)
    with torch.no_grad():
        return [flat for _ in range(2) for flat in tensors(model(*args))]  # twice: a hidden state is carried on


def tensors(o):
    res = []
    map_tensors(res.append, o)
    return res


def equal(a, b):
    return len(a) == len(b) > 0 and all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize('name', sorted(ARCHITECTURES))
def test_round_trip(name, tmp_path):
    "Saved, then loaded in another object: the same outputs, to the bit."
    o, (make, inputs) = ARCHITECTURES[name], EXAMPLES[name]
    set_seed(0)
    model = make(o)
    assert not _is_module(o) or any(isinstance(m, o) for m in model.modules())
    args = inputs()
    args = args if isinstance(args, tuple) else (args,)
    with torch.no_grad():
        model.train()(*args)  # so that running statistics are not those of a new one
    out = call(model.eval(), args)
    try:
        described = model_architecture(model)
    except ArchitectureError:
        assert name not in registered(), 'a registered architecture can be described'
        described = None
    save_tensors(tmp_path / 'm.safetensors', model.state_dict(), described)
    state, described = load_tensors(tmp_path / 'm.safetensors')
    set_seed(1)
    fresh = make(o)
    others = [fresh] if described is None else [fresh, build_model(described)]
    for other in others:
        load_state(other, state)
        assert equal(call(other.eval(), args), out)


class Killed(Exception):
    "What a power cut looks like to Python."


class PowerCut(Callback):
    order = 99.5  # after the checkpoint

    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch_end(self):
        if self.learn.epoch == self.epoch:
            raise Killed


class Counting(nn.Module):
    "Adds a plain number and a buffer that is no part of its `state_dict`."

    def __init__(self):
        super().__init__()
        self.n = 0
        self.register_buffer('seen', torch.zeros(1), persistent=False)

    def forward(self, x):
        self.n += 1
        self.seen += 0.01
        return x + 0.1 * self.n + self.seen

    def hidden_state(self):
        return dict(n=self.n, seen=self.seen)

    def set_hidden_state(self, state):
        self.n, self.seen = state['n'], state['seen'].clone()


def text_learner(make, path):
    "A language model whose state nobody resets, on batches of random length."
    g = torch.Generator().manual_seed(0)
    names = [f'w{i}' for i in range(5)]
    texts = [' '.join(names[i] for i in torch.randint(5, (n,), generator=g)) for n in (90, 40)]
    lists = [TextList([o], min_freq=1, include_bos=False) for o in texts]
    data = ItemLists('.', *lists).label_for_lm().databunch(bs=2, bptt=8)
    assert isinstance(data, TextLMDataBunch)
    set_seed(1)
    return Learner(data, make(len(data.vocab)), path=path, silent=True)


def stateful():
    "The registered models that hold a hidden state, and three that are put together."
    res = {
        'LSTM, two layers': lambda nv: CharSeqStatefulLSTM(nv, 4, n_hidden=8),
        'LSTM with tied weights': lambda nv: LanguageModel(nv, 8, cell='LSTM'),
        'numbers and buffers': lambda nv: nn.Sequential(nn.Embedding(nv, 4), Counting(), nn.Linear(4, nv)),
    }
    for name, o in ARCHITECTURES.items():
        if hasattr(o, 'reset') and name not in ('TextEncoder', 'TextClassifier'):
            make, _ = EXAMPLES[name]
            res[name] = partial(_sized, make, o)
    return res


def _sized(make, o, nv):
    assert nv <= NV, 'the text has more words than the example'
    return make(o)


@pytest.mark.parametrize('name', sorted(stateful()))
def test_resume_with_hidden_state(name, tmp_path):
    "Killed after an epoch and resumed, by a learner that was used before: the same losses and weights, to the bit."
    make = stateful()[name]
    whole = text_learner(make, tmp_path)
    whole.fit_one_cycle(3, 1e-2, resume='whole')
    for epoch in (0, 1):
        with pytest.raises(Killed):
            text_learner(make, tmp_path).fit_one_cycle(3, 1e-2, resume='cut', callbacks=[PowerCut(epoch)])
    again = text_learner(make, tmp_path)
    again.data.one_batch()
    again.validate()
    again.fit_one_cycle(3, 1e-2, resume='cut')
    assert whole.recorder.raw_losses == again.recorder.raw_losses
    assert whole.recorder.val_losses == again.recorder.val_losses
    assert equal(list(whole.model.state_dict().values()), list(again.model.state_dict().values()))


def test_resume_with_generator(tmp_path):
    "A PyTorch loader that draws from a generator of its own goes on drawing where it was."

    def learner():
        set_seed(0)
        xs = torch.arange(24.0).reshape(12, 2) / 24
        ds = torch.utils.data.TensorDataset(xs, xs.sum(1, keepdim=True))
        g = torch.Generator().manual_seed(3)
        dl = torch.utils.data.DataLoader(ds, batch_size=4, shuffle=True, generator=g)
        data = DataBunch(dl, torch.utils.data.DataLoader(ds, batch_size=4))
        return Learner(data, nn.Linear(2, 1), loss_func=nn.MSELoss(), path=tmp_path, silent=True)

    whole = learner()
    whole.fit(3, 1e-2, resume='whole')
    with pytest.raises(Killed):
        learner().fit(3, 1e-2, resume='cut', callbacks=[PowerCut(0)])
    again = learner()
    again.fit(3, 1e-2, resume='cut')
    assert whole.recorder.raw_losses == again.recorder.raw_losses


def head(n, tmp_path, opt_func=None):
    set_seed(0)
    data = DataBunch.from_tensors(torch.randn(8, 4), torch.arange(8) % 3, classes=range(n), bs=4)
    kwargs = {} if opt_func is None else dict(opt_func=opt_func)
    net = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, n))
    return Learner(data, net, path=tmp_path, silent=True, **kwargs)


def test_other_head(tmp_path):
    "The optimiser of a head with 3 classes is no optimiser of one with 10: it is made anew, and that is said."
    old = head(3, tmp_path)
    old.fit(1)
    old.save('three')
    new = head(10, tmp_path)
    with pytest.warns(UserWarning, match=r'expected float32 \[10, 4\].*the optimiser begins anew'):
        new.load('three', strict=False)
    assert new.opt is None
    assert torch.equal(new.model[0].weight, old.model[0].weight)
    new.fit(1)
    assert all(s['step'] == 2 for s in new.opt.state.values())  # two batches of its own
    before = [o.clone() for o in head(10, tmp_path).model.state_dict().values()]
    other = head(10, tmp_path)
    with pytest.raises(ValueError, match='does not fit'):
        other.load('three', strict=False, with_opt=True)
    assert equal(before, list(other.model.state_dict().values())) and other.opt is None
    with pytest.warns(UserWarning, match='2 of the 4 weights') as seen:
        head(10, tmp_path).load('three', strict=False, with_opt=False)
    assert len(seen) == 1  # nothing about the optimiser
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        with pytest.raises(ValueError, match='nothing was loaded'):
            head(10, tmp_path).load('three')  # and no warning says that weights are loaded


def test_learners_weight_decay(tmp_path):
    "The learner's own weight decay counts, not that of the file."
    old = head(3, tmp_path)
    old.fit(1)
    old.save('decay')
    new = head(3, tmp_path)
    new.wd = 0.5
    new.load('decay')
    assert [g['weight_decay'] for g in new.opt.param_groups] == [0.5]


def stepped(make=optim.AdamW, **kwargs):
    torch.manual_seed(0)
    net = nn.Linear(3, 2)
    opt = make(net.parameters(), lr=0.1, **kwargs)
    net(torch.ones(1, 3)).sum().backward()
    opt.step()
    return opt


ODD = [None, -1, 1.5, float('nan'), '', 'x', [], {}, True]
SHAPES = [(), (1,), (3,), (2,), (2, 3), (3, 2), (1, 2, 3), (100,)]
DTYPES = [torch.float64, torch.float32, torch.float16, torch.int64, torch.uint8, torch.bool]


@given(st.data())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_altered_optimiser_state(data):
    "Whatever a file says: the state is refused in words, or it fits and the optimiser makes a step of finite size."
    opt = stepped(fused=True)
    ts, meta = opt_state(opt)
    key = data.draw(st.sampled_from(sorted(ts)))
    what = data.draw(st.sampled_from(['tensor', 'value', 'name', 'gone', 'group', 'meta']))
    if what == 'tensor':
        shape, dtype = data.draw(st.sampled_from(SHAPES)), data.draw(st.sampled_from(DTYPES))
        ts[key] = torch.full(shape, data.draw(st.sampled_from([0.0, 1.0, 3.0]))).to(dtype)
    if what == 'value':
        ts[key] = data.draw(st.sampled_from([*ODD, torch.full_like(ts[key], float('nan')), -1 - ts[key].abs()]))
    if what in ('name', 'gone'):
        value = ts.pop(key)
    if what == 'name':
        ts[data.draw(st.sampled_from(['opt/2/step', 'opt/x/step', 'opt/0', 'opt/0/', 'opt/00/step', key + 'x']))] = (
            value
        )
    if what == 'group':
        group = meta['groups'][0]
        group[data.draw(st.sampled_from([*group, 'params']))] = data.draw(st.sampled_from(ODD))
    if what == 'meta':
        meta[data.draw(st.sampled_from(sorted(meta)))] = data.draw(st.sampled_from(ODD))
    before = str(opt.state_dict())
    try:
        load_opt_state(opt, ts, meta)
    except ValueError:
        assert str(opt.state_dict()) == before
        return
    opt.step()
    for p, state in opt.state.items():
        assert all(v.shape in (p.shape, ()) for v in state.values() if isinstance(v, Tensor))
        assert torch.isfinite(p).all()
