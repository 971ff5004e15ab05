"""A training that is killed at any point goes on from its last epoch and ends with the same bits as one that was
left in peace.

The killed one is a process of its own and gets SIGKILL, which no program can catch: in the middle of a batch, while
it validates, while it writes its
checkpoint. It is started again, with the same command, until it is done.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
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


def start(digits, out, epochs=EPOCHS, slow=0.0):
    "The training as a process; what was there goes on."
    out.mkdir(exist_ok=True)
    (out / 'beats').write_text('')
    env = {
        **os.environ,
        'PYTHONPATH': str(ROOT) + os.pathsep + os.environ.get('PYTHONPATH', ''),
        'OMP_NUM_THREADS': '1',
    }
    return subprocess.Popen(
        [sys.executable, '-c', CHILD, str(digits), str(out), str(epochs), str(slow)],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run_whole(digits, out):
    p = start(digits, out)
    text, _ = p.communicate(timeout=300)
    assert p.returncode == 0 and text.rstrip().endswith('done'), text


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


def test_killed_at_any_point():
    from lesson7_lib.synth.digits import make_digits

    rnd = random.Random()  # other points each time; the seed is printed, to do it again
    seed = rnd.randrange(10**6)
    rnd.seed(seed)
    print('seed of the kills', seed)
    with tempfile.TemporaryDirectory() as d:
        d = Path(d)
        make_digits(d / 'digits', n_train=320, n_valid=60)
        run_whole(d / 'digits', d / 'whole')
        n = 320 // 32  # batches in an epoch
        lives, killed = 0, 0
        while not (d / 'broken' / 'final.pth').exists():
            p = start(d / 'digits', d / 'broken', slow=0.01 if killed < KILLS else 0)
            lives += 1
            assert lives < 30, 'it never comes to an end'
            if (
                killed < KILLS
            ):  # let it live for some batches, more than an epoch's on the average, then some milliseconds
                beats, limit = rnd.randrange(1, 2 * n), time.time() + 120
                while p.poll() is None and (d / 'broken' / 'beats').stat().st_size < beats and time.time() < limit:
                    time.sleep(0.002)
                time.sleep(rnd.random() * 0.03)
                if p.poll() is None:
                    p.send_signal(signal.SIGKILL)
                    killed += 1
            text, _ = p.communicate(timeout=300)
            assert p.returncode in (0, -signal.SIGKILL), text
        print(f'killed {killed} times, {lives} lives')
        assert killed
        same(d / 'whole', d / 'broken')
        left = sorted(o.name for o in (d / 'broken' / 'models').iterdir())
        assert 'run.safetensors' in left, left


def test_killed_while_saving():
    """Killed again and again right after an epoch's last batch, where the checkpoint is written: it is always a
    whole file, of the old epoch or of the new."""
    from lesson7_lib.core.checkpoint import load_tensors
    from lesson7_lib.synth.digits import make_digits

    with tempfile.TemporaryDirectory() as d:
        d = Path(d)
        make_digits(d / 'digits', n_train=320, n_valid=60)
        for wait in (0, 0.01, 0.03, 0.1, 0.3):
            p = start(d / 'digits', d / 'run', epochs=200)
            while p.poll() is None and (d / 'run' / 'beats').stat().st_size < 11:
                time.sleep(0.0005)
            time.sleep(wait)
            assert p.poll() is None, p.communicate()[0]
            p.send_signal(signal.SIGKILL)
            p.communicate()
            fn = d / 'run' / 'models' / 'run.safetensors'
            if wait >= 0.1 or fn.exists():
                load_tensors(fn)
