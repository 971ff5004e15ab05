"""A training that is killed at any point goes on from its last epoch and ends with the same bits as one that was
left in peace.

The killed one is a process of its own and gets SIGKILL, which no program can catch: in the middle of a batch, while
it validates, while it writes its checkpoint. It is started again, with the same command, until it is done.
"""

import json
import random
import signal
import time

import pytest

EPOCHS, KILLS = 6, 5

CHILD = '''
import json, os, sys, time
from pathlib import Path
import torch
from torch import nn
from lesson7_lib.vision.transforms import rand_pad
from lesson7_lib.vision.image_data import ImageList
from lesson7_lib.core.env import set_seed
from lesson7_lib.core.hooks import Flatten
from lesson7_lib.core.learner import Learner
from lesson7_lib.core.callback import Callback
from lesson7_lib.core.metrics import accuracy
from lesson7_lib.resnet_mnist import conv_layer, res_block

digits, out, epochs, slow = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
torch.set_num_threads(1)

class Beat(Callback):
    "Tells how far it is, after every batch; sleeps a little so that there is time to be killed in."
    def on_batch_end(self):
        with open(out/'beats', 'a') as f: f.write('.')
        time.sleep(slow)

set_seed(11)
ll = ImageList.from_folder(digits, convert_mode='L').split_by_folder(train='training', valid='testing').label_from_folder()
data = ll.transform(([*rand_pad(padding=3, size=28, mode='zeros')], [])).databunch(bs=32).normalize()
model = nn.Sequential(conv_layer(1, 8, stride=2), res_block(8), conv_layer(8, 8, stride=2), nn.Dropout(.2), conv_layer(8, 4, stride=2), Flatten(), nn.Linear(64, 10))
learn = Learner(data, model, loss_func=nn.CrossEntropyLoss(), metrics=accuracy, path=out)
learn.fit_one_cycle(epochs, .02, callbacks=[Beat()], resume='run')
torch.save(learn.model.state_dict(), out/'final.pth')
rec, num = learn.recorder, lambda o: [num(i) for i in o] if isinstance(o, (list, tuple)) else float(o)
(out/'history.json').write_text(json.dumps({k: num(getattr(rec, k)) for k in ('losses', 'val_losses', 'metrics', 'lrs', 'moms')}))
print('done', flush=True)
'''


@pytest.fixture
def start(originals):
    "Starts the training as a process; what was there goes on."

    def start(digits, out, epochs=EPOCHS, slow=0.0):
        out.mkdir(exist_ok=True)
        (out / 'beats').write_text('')
        return originals.start(CHILD, digits, out, epochs, slow, printed=out.with_suffix('.txt'), cwd=out)

    return start


def is_done(p) -> bool:
    "It came to its end, and was not killed before."
    status = p.wait()
    assert status in (0, -signal.SIGKILL), p.text()
    return status == 0 and p.text().rstrip().endswith('done')


def same(a, b):
    "Both runs ended with the same weights and the same history, to the last bit."
    import torch

    wa, wb = [torch.load(d / 'final.pth', weights_only=True) for d in (a, b)]
    assert wa.keys() == wb.keys()
    bad = [k for k in wa if not torch.equal(wa[k], wb[k])]
    assert not bad, f'weights differ: {bad}'
    ha, hb = [json.loads((d / 'history.json').read_text()) for d in (a, b)]
    for k in ha:
        assert ha[k] == hb[k], f'{k} differs: {len(ha[k])} and {len(hb[k])} values, ends {ha[k][-2:]} and {hb[k][-2:]}'


def test_killed_at_any_point(start, tmp_path):
    from lesson7_lib.synth.digits import make_digits

    rnd = random.Random()  # other points each time; the seed is printed, to do it again
    seed = rnd.randrange(10**6)
    rnd.seed(seed)
    print('seed of the kills', seed)
    digits, whole, broken = [tmp_path / o for o in ('digits', 'whole', 'broken')]
    make_digits(digits, n_train=320, n_valid=60)
    n = 320 // 32  # batches in an epoch
    assert is_done(start(digits, whole))
    lives, killed = 0, 0
    while not (broken / 'final.pth').exists():
        p = start(digits, broken, slow=0.01 if killed < KILLS else 0)
        lives += 1
        assert lives < 30, 'it never comes to an end'
        if killed < KILLS:
            # let it live for some batches, more than an epoch's on the average, then some milliseconds
            beats, limit = rnd.randrange(1, 2 * n), time.time() + 120
            while p.poll() is None and (broken / 'beats').stat().st_size < beats and time.time() < limit:
                time.sleep(0.002)
            time.sleep(rnd.random() * 0.03)
            p.kill()
            killed += not is_done(p)
        else:
            assert is_done(p), p.text()
    print(f'killed {killed} times, {lives} lives')
    assert killed
    same(whole, broken)
    left = sorted(o.name for o in (broken / 'models').iterdir())
    assert 'run.safetensors' in left, left


def test_killed_while_saving(start, tmp_path):
    """Killed again and again right after an epoch's last batch, where the checkpoint is written: it is always a
    whole file, of the old epoch or of the new."""
    from lesson7_lib.core.checkpoint import load_tensors
    from lesson7_lib.synth.digits import make_digits

    digits, run = tmp_path / 'digits', tmp_path / 'run'
    make_digits(digits, n_train=320, n_valid=60)
    checkpoint = run / 'models' / 'run.safetensors'
    for wait in (0, 0.01, 0.03, 0.1, None):
        p = start(digits, run, epochs=200)
        while p.poll() is None and (run / 'beats').stat().st_size < 11:
            time.sleep(0.0005)
        if wait is None:  # the last one has written a whole file, however slow this machine is
            while p.poll() is None and not checkpoint.exists():
                time.sleep(0.0005)
        else:
            time.sleep(wait)
        assert p.poll() is None, p.text()
        p.kill()
        assert not is_done(p)
        if checkpoint.exists():
            load_tensors(checkpoint)
    assert checkpoint.exists()
