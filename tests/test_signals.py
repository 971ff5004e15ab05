"""Ctrl-C and SIGTERM end a training after the batch, tidily; the same call goes on and ends with the same bits."""

import signal
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform == 'win32', reason='a process cannot send itself these signals there')

CHILD = '''
import os, signal, sys
import torch
from torch import nn
from lesson7_lib.core.callback import Callback
from lesson7_lib.core.databunch import DataBunch
from lesson7_lib.core.env import set_seed
from lesson7_lib.core.learner import Learner
number, at, name = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3] or None

# a shell that starts a program in the background has it ignore Ctrl-C
signal.signal(signal.SIGINT, signal.default_int_handler)

class Ends(Callback):
    def on_backward_begin(self):
        if self.learn.iteration == at: os.kill(os.getpid(), number)
    def on_step_end(self):
        if self.learn.iteration == at: print('this batch was finished', flush=True)

set_seed(3)
x, y = torch.randn(32, 4), torch.arange(32) % 3
data = DataBunch.from_tensors(x, y, x, y, classes=range(3), bs=8)
learn = Learner(data, nn.Sequential(nn.Linear(4, 8), nn.Dropout(.2), nn.Linear(8, 3)), path='.', silent=True)
before = [signal.getsignal(o) for o in (signal.SIGINT, signal.SIGTERM)]
try:
    learn.fit(3, .01, callbacks=[Ends()], resume=name)
finally:
    print('as before', before == [signal.getsignal(o) for o in (signal.SIGINT, signal.SIGTERM)], flush=True)
print('weights', learn.model[0].weight.sum().item().hex(), flush=True)
'''


@pytest.fixture
def train(originals, tmp_path):
    def train(number=0, at=-1, name='run'):
        p = originals.start(CHILD, number, at, name, printed=tmp_path / 'printed.txt', cwd=tmp_path)
        return p.wait(), p.text()

    return train


def test_goes_on(train, tmp_path):
    whole = train(name='whole')[1]
    got, text = train(15, 6)  # the third batch of the second epoch
    assert got == 143
    assert 'this batch was finished' in text and 'as before True' in text and 'weights' not in text
    assert "Stopped in epoch 2 of 3, after 7 batches in all. 'run.safetensors' holds the epochs up to 1" in text
    assert sorted(o.name for o in (tmp_path / 'models').iterdir()) == ['run.safetensors', 'whole.safetensors']
    assert train() == (0, whole)


def test_interrupt(train):
    got, text = train(2, 1)
    assert got != 0 and 'this batch was finished' in text and text.rstrip().endswith('KeyboardInterrupt')
    assert "No epoch was complete, so there is no checkpoint: the same call, with resume='run'" in text


def test_nothing_to_go_on_from(train, tmp_path):
    got, text = train(15, 6, '')
    assert got == 143 and "No checkpoint was asked for: with resume='run'" in text
    assert not (tmp_path / 'models').exists()


def test_temporary_files_of_dead_processes(originals, tmp_path):
    "What a killed process left goes at the next save; what a living one writes stays."
    from lesson7_lib.core.checkpoint import save_tensors
    from lesson7_lib.core.files import temp_beside

    code = "import os, sys; from lesson7_lib.core.files import temp_beside; temp_beside('run.safetensors').touch(); os.kill(os.getpid(), 9)"
    for _ in range(3):
        assert originals.start(code, printed=tmp_path / 'printed.txt', cwd=tmp_path).wait() == -signal.SIGKILL
    (tmp_path / 'printed.txt').unlink()
    own = temp_beside(tmp_path / 'other.safetensors')
    own.touch()
    assert len(list(tmp_path.iterdir())) == 4
    save_tensors(tmp_path / 'run.safetensors', {})
    assert {o.name for o in tmp_path.iterdir()} == {own.name, 'run.safetensors'}
