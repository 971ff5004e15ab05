"""A share of `soak/kills.py`: a GAN, a recurrent network and a U-Net in bfloat16 are killed and end with the same bits.

`test_resume.py` does it with a CNN in processes that are started anew.
"""

import importlib.util
import os

import pytest
from soak import kills


def test_killed_trainings():
    res = kills.run(3, seed=2, kinds=['gan', 'rnn', 'unet_bf16'])
    assert [o['differs'] for o in res] == [[]] * len(res)
    assert sum(len(o['kills']) for o in res) == 3
    assert all(o['resumed'] for o in res if o['kills'])


@pytest.mark.skipif(importlib.util.find_spec('accelerate') is None, reason='several processes need accelerate')
def test_killed_processes():
    "Two processes that share a training, both killed; with batch norm, dropout and a hidden state."
    res = kills.run(4, seed=4, kinds=['gan', 'rnn_reset', 'unet_bf16', 'table'], processes=2)
    assert [o['differs'] for o in res] == [[]] * len(res)
    assert sum(len(o['kills']) for o in res) == 4
    assert all(o['resumed'] for o in res if o['kills'])


def test_a_difference_is_seen(monkeypatch):
    "The tool itself: a training that takes a number from somewhere else does not end the same."

    def forgetful(**kwargs):
        learn = kills.rnn(**kwargs)
        learn.model.encoder.drop.p = 0.1 + int.from_bytes(os.urandom(2), "big") / 2**17
        return learn

    monkeypatch.setitem(kills.TRAININGS, 'forgetful', forgetful)
    (found,) = kills.run(1, kinds=['forgetful'])
    assert {'losses', 'model/decoder.bias'} < set(found['differs'])
