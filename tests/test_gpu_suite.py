"""The benchmark that ends the GPU suite, in tiny, on a processor."""

import sys
from argparse import Namespace

import pytest
import torch
from project import ROOT


@pytest.fixture(scope='module')
def gpu():
    "The module of the benchmark."
    sys.path.insert(0, str(ROOT / 'benchmarks'))
    import gpu

    yield gpu
    sys.path.remove(str(ROOT / 'benchmarks'))


def options(**kwargs):
    return Namespace(**dict(size=64, bs=2, bs_cnn=8, steps=2, rounds=2, nf=8, sides=['ours', 'hand']) | kwargs)


def test_steps_are_timed(gpu):
    seconds, n = gpu.measured('cnn', options(), 'cpu')
    assert n == 16 and {k: len(v) for k, v in seconds.items()} == dict(ours=2, hand=2)
    assert all(t > 0 for v in seconds.values() for t in v)


def test_both_sides_train_alike(gpu):
    "From the same weights, our learner and the hand-written loop end with losses that are close, and below the first."
    batches = gpu.OnDevice(20, 8, (1, 28, 28), 10, 'cpu', mask=False)
    losses = []
    for side in (gpu.ours, gpu.hand):
        torch.manual_seed(1)
        model = gpu.network('cnn', 'ours', 28)
        x, y = batches[0]
        before = float(gpu.loss_of(model(x), y).detach())
        side(batches, model)()
        losses.append(float(gpu.loss_of(model.train()(x), y).detach()))
    assert max(losses) < before and abs(losses[0] - losses[1]) < 0.1 * before, (before, losses)


def test_a_side_that_fails_is_left_out(gpu, monkeypatch):
    def fails(batches, model):
        def step():
            raise RuntimeError('no compiler here')

        return step

    monkeypatch.setattr(gpu, 'hand', fails)
    with pytest.warns(UserWarning, match='cnn, hand is left out: RuntimeError: no compiler here'):
        seconds, _ = gpu.measured('cnn', options(), 'cpu')
    assert list(seconds) == ['ours']


def test_refuses_without_gpu(gpu, monkeypatch):
    if torch.cuda.is_available():
        pytest.skip('there is one')
    monkeypatch.setattr(sys, 'argv', ['gpu.py'])
    with pytest.raises(SystemExit, match='no GPU'):
        gpu.main()
