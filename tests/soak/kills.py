"""Trainings of six kinds are killed at random moments and go on; each must end as one that was left in peace.

    python tests/soak/kills.py --n 200 --seed 0 --log FOLDER
    python tests/soak/kills.py --n 60 --processes 2

A training is a process of its own and gets SIGKILL, which no program can catch: in the middle of a batch, in a
validation, while it writes its checkpoint. It is started again with `resume=` until it is done. Then the checkpoint of
its last epoch (weights, optimiser, hidden state, random generators) and the recorder must be equal, to the bit, to
those of a training that was never killed. With `--log`, the same command goes on after an interruption. With
`--processes`, so many processes share each training (gloo), and all of them are killed, one after the other.
"""

import argparse
import json
import math
import multiprocessing
import os
import random
import shutil
import socket
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from lesson7_lib.core.callback import Accumulate, Callback
from lesson7_lib.core.checkpoint import load_tensors
from lesson7_lib.core.databunch import DataBunch
from lesson7_lib.core.env import set_seed
from lesson7_lib.core.hooks import Flatten
from lesson7_lib.core.learner import Learner
from lesson7_lib.core.metrics import accuracy, mse
from lesson7_lib.core.table_data import Categorify, Normalize, TabularList
from lesson7_lib.crappify_gan import AdaptiveGANSwitcher, GANLearner, gan_critic, gan_loss_from_func
from lesson7_lib.resnet_mnist import conv_layer, res_block
from lesson7_lib.tabular import tabular_learner
from lesson7_lib.text.evaluate import ResetState
from lesson7_lib.text.language import LanguageModel
from lesson7_lib.text.text_list import TextList
from lesson7_lib.unet import DynamicUnet
from lesson7_lib.vision.batch_transforms import BatchTfms
from lesson7_lib.vision.transforms import get_transforms

EPOCHS = 6
KILLS = 5  # of one training
CURVES = ('losses', 'raw_losses', 'val_losses', 'metrics', 'lrs', 'moms', 'nb_batches')

# --- the trainings, each with all that may get lost: shuffling, augmentation, dropout, batch norm, momentum


def shared(x, y, n, **kwargs):
    "Data with the first `n` items for training."
    return DataBunch.from_tensors(x[:n], y[:n], x[n:], y[n:], **kwargs)


def cnn(**kwargs):
    data = shared(torch.rand(84, 1, 12, 12), torch.randint(0, 3, (84,)), 64, bs=8)
    data.train_ds.tfms = BatchTfms(get_transforms()[0], size=12)
    model = nn.Sequential(conv_layer(1, 8, stride=2), res_block(8), nn.Dropout(0.2), Flatten(), nn.Linear(288, 3))
    return Learner(data, model, metrics=accuracy, **kwargs)


def gan(**kwargs):
    x = torch.rand(44, 3, 16, 16)
    data = shared(x, 1 - x, 36, bs=4)
    critic = gan_critic(nf=4, n_blocks=1, p=0.2)
    losses = gan_loss_from_func(F.l1_loss, lambda p, y: F.binary_cross_entropy_with_logits(p, torch.full_like(p, y[0])))
    maker = nn.Sequential(conv_layer(3, 6), nn.Dropout2d(0.1), nn.Conv2d(6, 3, 1))
    return GANLearner(data, maker, critic, *losses, switcher=AdaptiveGANSwitcher, show_img=False, **kwargs)


def rnn(**kwargs):
    texts = [' '.join(f'w{int(i)}' for i in torch.randint(0, 20, (400,))) for _ in range(4)]
    data = TextList(texts, min_freq=1).split_by_idx([3]).label_for_lm().databunch(bs=4, bptt=12, max_len=4)
    return Learner(data, LanguageModel(len(data.vocab.itos), 16, cell='GRU'), metrics=accuracy, **kwargs)


def rnn_reset(**kwargs):
    return rnn(callbacks=[ResetState()], **kwargs)


def unet_bf16(**kwargs):
    data = shared(torch.rand(28, 3, 16, 16), torch.randint(0, 3, (28, 1, 16, 16)), 20, bs=2)
    body = nn.Sequential(conv_layer(3, 6, stride=2), conv_layer(6, 8, stride=2))
    model = DynamicUnet(body, 3, (16, 16), self_attention=True, norm_type='Spectral')
    learn = Learner(
        data, model, loss_func=lambda p, y: F.cross_entropy(p, y[:, 0]), callbacks=[Accumulate(n=2)], **kwargs
    )
    return learn.to_bf16(emulate=True)


def table(**kwargs):
    share = torch.rand(84).tolist()
    rows = dict(a=['abcd'[int(o * 4)] for o in share], b=torch.rand(84).tolist(), y=[o * 2 for o in share])
    items = TabularList.from_df(rows, cat_names=['a'], cont_names=['b'], procs=[Categorify, Normalize])
    data = items.split_by_idx(range(64, 84)).label_from_df('y').databunch(bs=8)
    return tabular_learner(data, [16], ps=[0.2], emb_drop=0.1, metrics=mse, **kwargs)


TRAININGS = dict(cnn=cnn, gan=gan, rnn=rnn, rnn_reset=rnn_reset, unet_bf16=unet_bf16, table=table)


class Beat(Callback):
    "Tells that the first batch of this process is done."

    def __init__(self, file):
        self.file = file

    def on_batch_end(self):
        self.file.touch()


def plain(o):
    "As JSON, floats to the bit."
    if isinstance(o, (list, tuple)):
        return [plain(v) for v in o]
    return float(o).hex() if isinstance(o, (float, torch.Tensor)) else o


def train(kind, folder, rank=0, n=1, port=0):
    "In a process of its own: train to the end, or until it is killed."
    sys.stdout = sys.stderr = open(folder / f'printed{rank}.txt', 'a', buffering=1)
    torch.set_num_threads(1)
    set_seed(7)
    learn = TRAININGS[kind](path=folder)
    if n > 1:
        place = dict(RANK=rank, LOCAL_RANK=rank, WORLD_SIZE=n, LOCAL_WORLD_SIZE=n, MASTER_PORT=port)
        os.environ.update({k: str(v) for k, v in place.items()}, MASTER_ADDR='127.0.0.1', ACCELERATE_USE_CPU='true')
        learn.to_distributed()
    learn.fit_one_cycle(EPOCHS, 0.01, callbacks=[Beat(folder / 'beat')], resume='run')
    recorded = {k: plain(getattr(learn.recorder, k)) for k in CURVES}
    (folder / f'recorded{rank}.json').write_text(json.dumps(recorded))
    if n > 1:
        torch.distributed.destroy_process_group()


# --- what is killed


class Training:
    "The processes of a training; what was there goes on."

    def __init__(self, kind, folder, n):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        (folder / 'beat').unlink(missing_ok=True)
        with socket.socket() as s:
            s.bind(('127.0.0.1', 0))
            port = s.getsockname()[1]
        make = multiprocessing.get_context('fork').Process
        self.processes = [make(target=train, args=(kind, folder, rank, n, port)) for rank in range(n)]
        for p in self.processes:
            p.start()

    def wait_for(self, happens, *args):
        "Until `happens(*args)` is true, or a process has ended."
        while all(p.is_alive() for p in self.processes) and not happens(*args):
            time.sleep(0.0005)

    def kill(self, rnd):
        "One after the other. Was it done before?"
        for p in rnd.sample(self.processes, len(self.processes)):
            p.kill()
            time.sleep(rnd.random() * 0.01)
        for p in self.processes:
            p.join()
        return not any(p.exitcode for p in self.processes)

    def finish(self):
        for rank, p in enumerate(self.processes):
            p.join()
            if p.exitcode:
                raise RuntimeError(f'the training failed: {(self.folder / f"printed{rank}.txt").read_text()[-2000:]}')


def unfinished(folder, old=frozenset()):
    "Names of the files beside the checkpoint, without the old ones: one that is being written, or was."
    return {o.name for o in (folder / 'models').glob('*')} - {'run.safetensors'} - old


def peaceful(kind, folder, processes=1):
    "A training that is left alone; seconds from its first batch to its end."
    training = Training(kind, folder, processes)
    training.wait_for((folder / 'beat').exists)
    begun = time.monotonic()
    training.finish()
    return time.monotonic() - begun


def killed(kind, folder, seconds, rnd, n=KILLS, processes=1):
    "A training that is killed `n` times, then left to its end; what it was doing each time."
    found = []
    while len(found) < n:
        old = unfinished(folder)  # of a process that was killed
        training = Training(kind, folder, processes)
        when = rnd.choices(['at once', 'later', 'saving'], [1, 7, 2])[0]
        if when != 'at once':
            training.wait_for((folder / 'beat').exists)
        if len(found) == n - 1:  # so that each training resumes at least once
            training.wait_for((folder / 'models' / 'run.safetensors').exists)
        if when == 'saving':
            training.wait_for(unfinished, folder, old)
            time.sleep(rnd.random() * 0.002)
        else:
            time.sleep(rnd.random() * seconds * 0.4)
        if training.kill(rnd):
            break
        begun = (folder / 'beat').exists()
        found.append('saving' if unfinished(folder, old) else 'training' if begun else 'before the first batch')
    Training(kind, folder, processes).finish()
    return found


def same_bits(a, b):
    "Are two values of a checkpoint equal? NaN is equal to itself here."
    if not isinstance(a, torch.Tensor) or not isinstance(b, torch.Tensor):
        return a == b
    return (a.dtype, a.shape) == (b.dtype, b.shape) and torch.equal(*[o.reshape(-1).view(torch.uint8) for o in (a, b)])


def difference(a, b):
    "Names of what differs between two trainings that have ended."
    (ta, ma), (tb, mb) = [load_tensors(o / 'models' / 'run.safetensors') for o in (a, b)]
    if ta.keys() != tb.keys():
        return sorted(ta.keys() ^ tb.keys())
    found = [k for k in ta if not same_bits(ta[k], tb[k])]
    found += [k for k in ma.keys() | mb.keys() if k != 'rows' and ma.get(k) != mb.get(k)]  # rows hold the time
    for file in a.glob('recorded*.json'):
        ra, rb = [json.loads((o / file.name).read_text()) for o in (a, b)]
        found += [k for k in CURVES if ra[k] != rb[k]]
    return found + sorted(unfinished(b))


def run(n, seed=0, kinds=None, log=None, processes=1):
    "Kill `n` times, shared among the kinds: list of dictionaries, one for each training."
    kinds = kinds or list(TRAININGS)
    res = []
    with tempfile.TemporaryDirectory() as tmp:
        out = Path(log or tmp) / 'kills.jsonl'
        out.parent.mkdir(exist_ok=True)
        out.touch()
        res = [json.loads(o) for o in out.read_text().splitlines()]
        for kind in kinds:
            goal = math.ceil(n / len(kinds))
            done = sum(len(o['kills']) for o in res if o['kind'] == kind)
            whole = Path(tmp, f'{kind}-whole')
            seconds = peaceful(kind, whole, processes) if done < goal else 0
            while done < goal:
                number = sum(o['kind'] == kind for o in res)
                broken = Path(tmp, f'{kind}-broken')
                rnd = random.Random(f'{seed} {kind} {number}')
                kills = killed(kind, broken, seconds, rnd, min(KILLS, goal - done), processes)
                resumed = (broken / 'printed0.txt').read_text().count('Resuming')
                differs = difference(whole, broken)
                res.append(dict(kind=kind, number=number, kills=kills, resumed=resumed, differs=differs))
                with open(out, 'a') as f:
                    f.write(json.dumps(res[-1]) + '\n')
                shutil.rmtree(broken)
                done += len(kills)
    return res


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--n', type=int, default=50, help='number of kills')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--kinds', nargs='*', choices=list(TRAININGS), help='only these')
    parser.add_argument('--processes', type=int, default=1, help='how many share a training')
    parser.add_argument('--log', type=Path, help='keep what is found in this folder, and go on from there')
    parser.add_argument('--save', type=Path, help='write the counts to this JSON file')
    args = parser.parse_args()
    res = run(args.n, args.seed, args.kinds, args.log, args.processes)
    res = [o for o in res if o['kills'] or o['differs']]  # some were done before they could be killed
    command = f'python tests/soak/kills.py --n {args.n} --seed {args.seed}'
    command += f' --kinds {" ".join(args.kinds)}' if args.kinds else ''
    command += f' --processes {args.processes}' if args.processes > 1 else ''
    facts = dict(
        command=command,
        kills=sum(len(o['kills']) for o in res),
        trainings=len(res),
        equal=sum(not o['differs'] for o in res),
        kinds={
            kind: dict(
                trainings=sum(o['kind'] == kind for o in res),
                equal=sum(o['kind'] == kind and not o['differs'] for o in res),
                resumed=sum(o['resumed'] for o in res if o['kind'] == kind),
                kills=dict(Counter(k for o in res if o['kind'] == kind for k in o['kills'])),
            )
            for kind in dict.fromkeys(o['kind'] for o in res)
        },
        torch=torch.__version__,
    )
    print(json.dumps(facts, indent=1))
    for o in res:
        if o['differs']:
            print(o)
    if args.save:
        args.save.write_text(json.dumps(facts, indent=1) + '\n')


if __name__ == '__main__':
    main()
