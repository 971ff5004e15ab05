"""Exports and checkpoints from strangers: refused in words and in no time, or loaded; never anything else.

`soak/strangers.py` does the same for as many changed files as one likes.
"""

import math
import time
import warnings

import pytest
import torch
from soak import strangers
from torch import nn

from lesson7_lib.core.architecture import build_model, model_architecture
from lesson7_lib.core.callback import Callback
from lesson7_lib.core.checkpoint import CheckpointError, load_tensors, save_tensors
from lesson7_lib.core.learner import load_learner
from lesson7_lib.unet import FastUnet

SMALL = ['create_head', 'TodayCifar', 'tied', 'texts with data', 'table with data', 'checkpoint', 'resume']


def test_changed_files():
    "A share of the soak test: no other error than `CheckpointError`, nothing slow, no end of the process."
    res = strangers.run(60, seed=7, names=SMALL)
    assert [o for o in res if o['end'] not in ('refused', 'loaded')] == []
    assert {o['end'] for o in res} == {'refused', 'loaded'}


def linear(n, **kwargs):
    return dict(nn='Linear', kwargs=dict(in_features=n, out_features=n, **kwargs))


def sequential(*nodes):
    return dict(nn='Sequential', children=[[str(i), o] for i, o in enumerate(nodes)])


def nested(n):
    node = linear(2)
    for _ in range(n):
        node = sequential(node)
    return node


def unet(padding):
    "The architecture of a U-Net, which is tried on a picture when it is made; the second convolution has this padding."
    layers = [nn.Conv2d(i, o, 3, stride=2, padding=1) for i, o in ((3, 4), (4, 4), (4, 8))]
    res = model_architecture(FastUnet(nn.Sequential(*layers), 3, widths=(4, 4, 4)))['model']
    res['args'][0]['module']['children'][1][1]['kwargs']['padding'] = {'tuple': [1, padding]}
    return res


NORM = sequential(dict(nn='BatchNorm1d', kwargs=dict(num_features=2)))
TIED = sequential(linear(2), linear(2))
ATTACKS = {
    'a large layer': (lambda: linear(20_000), []),
    'many large layers': (lambda: sequential(*[linear(20_000)] * 20), []),
    'a deep LSTM': (lambda: dict(nn='LSTM', kwargs=dict(input_size=2, hidden_size=2, num_layers=20_000)), []),
    'a deep transformer': (lambda: dict(nn='Transformer', kwargs=dict(d_model=8, num_encoder_layers=20_000)), []),
    'many layers': (lambda: sequential(*[dict(nn='ReLU', kwargs={})] * 100_000), []),
    'deep nesting': (lambda: nested(500), []),
    'memory in spite of meta': (lambda: linear(20_000, device='cpu'), []),
    'a wide padding': (lambda: unet(1_000_000), []),
    'a tie of a setting': (lambda: NORM, [['0.weight', '0.momentum']]),
    'a tie of a method': (lambda: sequential(linear(2)), [['0.weight', '0.extra_repr']]),
    'a tie of a method of the whole': (lambda: sequential(linear(2)), [['0.weight', 'extra_repr']]),
    'a tie of nothing': (lambda: sequential(linear(2)), [['0.weight', '1.weight']]),
    'a tie of other shapes': (lambda: TIED, [['0.weight', '0.bias']]),
    'a tie of one': (lambda: TIED, [['0.weight']]),
    'ties of numbers': (lambda: TIED, [3]),
}


@pytest.mark.parametrize('name', ATTACKS)
def test_attacks(name):
    "Refused before anything is built: less than a tenth of a second of the processor, the best of three."
    make, ties = ATTACKS[name]
    description = dict(version=1, model=make(), ties=ties)
    state = sequential_state()
    took = []
    for _ in range(3):
        start = time.process_time()
        with pytest.raises(CheckpointError):
            build_model(description, state)
        took.append(time.process_time() - start)
    assert min(took) < 0.1


def sequential_state():
    return nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)).state_dict()


def test_attack_in_a_file(tmp_path):
    "The same by way of a file, whose checksum is right; and a model that is given is not changed."
    learn = strangers.learner(tmp_path)
    file = learn.export() / 'learner.safetensors'
    tensors, meta = load_tensors(file)
    meta['recipe']['model'] = linear(20_000)
    save_tensors(file, tensors, meta)
    with pytest.raises(CheckpointError, match='another model, nothing was loaded'):
        load_learner(file)
    given = strangers.learner(tmp_path).model
    nn.init.zeros_(given[0].weight)
    meta['data'] = dict(meta['data'], bs=-1)
    save_tensors(file, tensors, meta)
    with pytest.raises(CheckpointError, match='see bs'):
        load_learner(file, model=given)
    assert not given[0].weight.any()


def test_nan_is_named(tmp_path):
    "Weights that are not numbers are loaded, and named."
    learn = strangers.learner(tmp_path)
    with torch.no_grad():
        learn.model[0].weight[1, 2] = math.nan
        learn.model[3].bias[0] = math.inf
    folder = learn.export()
    learn.save('sick')
    with pytest.warns(UserWarning, match='the weights 0.weight, 3.bias are NaN or infinite in places') as seen:
        load_learner(folder)
    assert seen[0].filename == __file__
    with pytest.warns(UserWarning, match='the weights 0.weight, 3.bias are NaN or infinite in places') as seen:
        strangers.learner(tmp_path).load('sick')
    assert seen[0].filename == __file__


class Counts(Callback):
    "A callback with a state."

    n = 0

    def state_dict(self):
        return dict(n=torch.tensor(self.n))

    def load_state_dict(self, state):
        self.n = int(state['n'])
        if self.n > 100:
            raise ValueError('too many')


def damage(part, ts, meta):
    "Each part of a saved training, made wrong in a way that is found late."
    if part == 'callback':
        ts['cb/2/n'] = torch.tensor(101)
    elif part == 'generator':
        meta['rng'].pop('numpy', None)
        ts['rng/torch'] = torch.zeros(3, dtype=torch.uint8)
    elif part == 'optimiser':
        ts['opt/0/exp_avg'] = torch.zeros(1)
    elif part == 'weights':
        ts['model/0.weight'] = torch.zeros(5, 5)
    elif part == 'hidden state':
        ts['hidden/0/forward'] = torch.zeros(1)
    elif part == 'rows':
        meta['rows'] = [dict(a=1)]


@pytest.mark.parametrize('part', ['callback', 'generator', 'optimiser', 'weights', 'hidden state', 'rows'])
def test_resume_all_or_nothing(part, tmp_path):
    "Whichever part of a saved training is wrong: weights, callbacks and random generators are as they were."

    def fit(learn, *more):
        learn.fit(2, resume='going', callbacks=[counts, *more])

    counts = Counts()
    counts.n = 5
    with pytest.raises(strangers.Cut):
        fit(strangers.learner(tmp_path), strangers.CutOff())
    file = strangers.learner(tmp_path).checkpoint_path('going')
    ts, meta = load_tensors(file)
    assert 'cb/2/n' in ts or part != 'callback', [k for k in ts if k.startswith('cb/')]
    damage(part, ts, meta)
    save_tensors(file, ts, meta)
    counts.n = 7
    learn = strangers.learner(tmp_path)
    nn.init.ones_(learn.model[0].weight)
    before = strangers.snapshot(learn)[0]
    rng = torch.get_rng_state()
    with pytest.raises(CheckpointError):
        fit(learn)
    assert counts.n == 7
    assert all(torch.equal(a, b) for a, b in zip(before, strangers.snapshot(learn)[0], strict=True))
    assert torch.equal(rng, torch.get_rng_state())
    assert callable(learn.model[0].forward)


def test_checkpoint_all_or_nothing(tmp_path):
    "With `with_opt=True` neither weights nor optimiser are changed where one of them does not fit."
    one = strangers.learner(tmp_path)
    one.fit(1)
    file = one.save('point', return_path=True)
    whole = load_tensors(file)
    for key, value in [('opt/0/exp_avg', torch.zeros(7)), ('model/0.weight', torch.zeros(7)), ('opt/0/step', None)]:
        ts, meta = dict(whole[0]), whole[1]
        ts[key] = value
        save_tensors(file, ts, meta)
        for with_optimiser in (False, True):
            learn = strangers.learner(tmp_path)
            if with_optimiser:
                learn.create_opt([0.5])
            before = strangers.snapshot(learn)
            with pytest.raises(CheckpointError):
                learn.load('point', with_opt=True)
            assert strangers.same(before, strangers.snapshot(learn))


def test_good_files_say_nothing(tmp_path):
    "Files that are as they should be are loaded without a warning."
    one = strangers.learner(tmp_path)
    one.fit(1)
    one.save('point')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        strangers.learner(tmp_path).load('point', with_opt=True)
        load_learner(one.export())
