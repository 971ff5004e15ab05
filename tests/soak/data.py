"""Data beyond memory: a text of 2 GB, a table of 1 GB and many pictures are made, read, and trained on; time and memory are measured.

    python tests/soak/data.py text --gb 2 --save results/soak/text.json
    python tests/soak/data.py table --gb 1 --save results/soak/table.json
    python tests/soak/data.py pictures --save results/soak/pictures.json

The text is synthetic: the built-in numbers in English, with words that are drawn anew, so that there are common and rare
ones; the table is made of random numbers and classes. Each stage runs in a process of its own, whose largest resident memory the system tells; pages of a mapped file that
the system has read ahead count too, so `own_mb`, what the process itself has taken (anonymous memory), is given beside it.
"""

import argparse
import json
import os
import platform
import random
import resource
import shutil
import sys
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from functools import partial
from io import BytesIO
from itertools import islice
from multiprocessing import get_context, set_start_method
from pathlib import Path

import numpy as np
import torch

from lesson7_lib.core.download import cache_dir
from lesson7_lib.core.stored_table import is_stored


def own_memory():
    "Anonymous memory of this process, in bytes: without the pages of mapped files."
    lines = Path('/proc/self/status').read_text().splitlines()
    return sum(int(o.split()[1]) << 10 for o in lines if o.startswith('RssAnon:'))


class Watch:
    "Measures the seconds of a stage and the most memory that the process takes meanwhile."

    def __enter__(self):
        self.cpu = time.process_time()
        self.start, self.samples, self.ended = time.perf_counter(), [own_memory() >> 20], threading.Event()
        self.thread = threading.Thread(target=self.watch, daemon=True)
        self.thread.start()
        return self

    def watch(self):
        while not self.ended.wait(0.1):
            self.samples.append(own_memory() >> 20)

    def __exit__(self, *args):
        self.ended.set()
        self.thread.join()
        self.seconds = time.perf_counter() - self.start
        self.cpu_seconds = time.process_time() - self.cpu

    def result(self):
        rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        tenths = self.samples[:: max(1, len(self.samples) // 10)][:10]
        return dict(
            seconds=round(self.seconds, 1),
            cpu_seconds=round(self.cpu_seconds, 1),
            peak_rss_mb=rss,
            own_mb=max(self.samples),
            own_mb_tenths=tenths,
        )


def apart(func, *args):
    "The result of a function in a new process."
    with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
        return pool.submit(func, *args).result()


# --- a text


def make_text(path, n_bytes, seed=0):
    "Numbers in English, and among them words of which few are common and very many are rare, as in a natural text."
    from lesson7_lib.synth.numbers import number_words

    rng, written = random.Random(seed), 0
    numbers = [number_words(i).capitalize() for i in range(1, 10000)]
    with open(path, 'w', encoding='utf-8') as f:
        while written < n_bytes:
            words = [f'w{int(rng.paretovariate(0.3)):x}'[:12] for _ in range(2000)]
            three = zip(
                rng.choices(numbers, k=4000), rng.choices(words, k=4000), rng.choices(words, k=4000), strict=True
            )
            lines = [f'{a}, {b} and {c}.' for a, b, c in three]
            block = '\n'.join(lines) + '\n'
            f.write(block)
            written += len(block)
    return path.stat().st_size


def text_bunch(folder, chars):
    from lesson7_lib.text.text_batches import TextLMDataBunch

    return TextLMDataBunch.from_folder(folder, bs=64, bptt=70, chars=chars, max_vocab=8000, valid_pct=0.05)


def tokenize(folder, chars):
    "The first time: the tokens are made, and written."
    with Watch() as watch:
        data = text_bunch(folder, chars)
    x = data.train_ds.x
    return watch.result() | dict(
        tokens=data.train_dl.n_tokens + data.valid_dl.n_tokens,
        different=sum(o > 0 for o in x.unknown.values()) + len(x.vocab),
        vocabulary=len(x.vocab),
        unknown_share=round(x.unknown_share, 4),
        stored=x.is_large,
    )


def train_steps(batches, steps, loss_of, opt):
    "Train for some steps: the losses, what that took, and what reading the same batches takes alone."
    losses = []
    with Watch() as watch:
        for x, y in islice(batches, steps):
            loss = loss_of(x, y)
            opt.zero_grad()
            loss.backward()
            opt.step()
            losses.append(loss.item())
    with Watch() as loading:
        for _ in islice(batches, steps):
            pass
    return losses, watch, loading


def train(folder, chars, steps):
    "The next time: the tokens are in the cache, and a small model is trained."
    from torch import nn

    with Watch() as opening:
        data = text_bunch(folder, chars)
    net = nn.Sequential(nn.Embedding(len(data.vocab), 64), nn.Linear(64, len(data.vocab)))
    opt = torch.optim.SGD(net.parameters(), 1.0)

    def loss_of(x, y):
        return nn.functional.cross_entropy(net(x).flatten(0, 1), y.flatten())

    losses, watch, loading = train_steps(data.train_dl, steps, loss_of, opt)
    return watch.result() | dict(
        opening_seconds=round(opening.seconds, 1),
        steps=len(losses),
        losses=[round(losses[0], 3), round(losses[-1], 3)],
        loading_ms_a_batch=round(1000 * loading.seconds / steps, 2),
        step_ms=round(1000 * watch.seconds / steps, 2),
    )


def in_memory(folder, chars):
    "For comparison, the same with all tokens in memory."
    from lesson7_lib.core.env import defaults

    defaults.large_file = 1 << 60
    return tokenize(folder, chars)


def run_text(args, folder):
    res = {}
    with Watch() as making:
        size = make_text(folder / 'text.txt', int(args.gb * 1e9))
    res['text'] = dict(bytes=size, synthetic=True, seconds=round(making.seconds, 1))
    for kind in args.kinds:
        chars = kind == 'characters'
        for name, stage in (('tokenize', tokenize), ('train', partial(train, steps=args.steps))):
            res[f'{kind}: {name}'] = apart(stage, folder, chars)
            print(kind, name, res[f'{kind}: {name}'], flush=True)
        res[f'{kind}: stored bytes'] = sum(o.stat().st_size for o in cache_dir().rglob('numbers'))
        shutil.rmtree(cache_dir() / 'tokens', ignore_errors=True)
    (folder / 'text.txt').unlink()
    for n_bytes in (size // 256, size // 64):
        make_text(folder / 'text.txt', n_bytes)
        for kind in args.kinds:
            res[f'{kind}: {n_bytes} bytes in memory'] = apart(in_memory, folder, kind == 'characters')
    return res


# --- a table


CLASSES, NUMBERS = ['job', 'town', 'month'], ['age', 'hours', 'income', 'distance', 'score']


def make_table(path, n_bytes, seed=0):
    "People that do not exist; the answer depends on their numbers and their jobs, and some values are missing."
    rng = np.random.default_rng(seed)
    jobs, towns = [f'job {i}' for i in range(20)], [f'town {i}' for i in range(500)]
    with open(path, 'w', encoding='utf-8') as f:
        f.write(','.join([*NUMBERS, *CLASSES, 'answer']) + '\n')
        while f.tell() < n_bytes:
            n = 20_000
            x = rng.normal(size=(n, 4)).round(4)
            job, town, age = rng.integers(0, 20, n), rng.integers(0, 500, n), rng.integers(18, 90, n)
            answer = x[:, 0] + (job > 9) + rng.normal(size=n) > 0.5
            month, missing = rng.integers(1, 13, n), rng.random(n) < 0.01
            columns = [o.tolist() for o in (age, *x.T, job, town, month, answer, missing)]
            f.write(
                ''.join(
                    f'{a},{"" if no else h},{i},{d},{s},{jobs[j]},{towns[t]},{m},{"yes" if y else "no"}\n'
                    for a, h, i, d, s, j, t, m, y, no in zip(*columns, strict=True)
                )
            )
    return path.stat().st_size


def read_rows(file):
    from lesson7_lib.core.columns import read_table

    with Watch() as watch:
        table = read_table(file)
    return watch.result() | dict(rows=len(table['age']), stored=is_stored(table['age']))


def train_rows(file, steps):
    from lesson7_lib.core.columns import read_table
    from lesson7_lib.core.table_data import Categorify, FillMissing, Normalize, TabularList
    from lesson7_lib.tabular import TabularModel, emb_sizes

    with Watch() as opening:
        table = read_table(file)
        rows = TabularList.from_df(
            table, cat_names=CLASSES, cont_names=NUMBERS, procs=[FillMissing, Categorify, Normalize]
        )
        lists = rows.random_split_by_pct(0.01, seed=0)
    with Watch() as learning:
        lists = lists.label_from_df('answer')
        data = lists.databunch(bs=1024)
    net = TabularModel(emb_sizes(data), len(NUMBERS), 2, [64])
    opt = torch.optim.Adam(net.parameters(), 1e-3)

    def loss_of(x, y):
        return torch.nn.functional.cross_entropy(net(*x), y)

    losses, watch, loading = train_steps(data.train_dl, steps, loss_of, opt)
    learned = {name: lists.train.x.learned(name) for name in ('FillMissing', 'Normalize')}
    return watch.result() | dict(
        opening_seconds=round(opening.seconds, 1),
        statistics=learning.result(),
        learned=learned,
        rows=len(lists.train),
        steps=len(losses),
        losses=[round(losses[0], 3), round(sum(losses[-20:]) / 20, 3)],
        loading_ms_a_batch=round(1000 * loading.seconds / steps, 2),
        step_ms=round(1000 * watch.seconds / steps, 2),
    )


def read_in_memory(file):
    "For comparison, the same with all cells in memory."
    from lesson7_lib.core.env import defaults

    defaults.large_file = 1 << 60
    return read_rows(file)


def run_table(args, folder):
    file = folder / 'table.csv'
    with Watch() as making:
        size = make_table(file, int(args.gb * 1e9))
    res = dict(table=dict(bytes=size, synthetic=True, seconds=round(making.seconds, 1)))
    for name, stage in (('read', read_rows), ('train', partial(train_rows, steps=args.steps))):
        res[name] = apart(stage, file)
        print(name, res[name], flush=True)
    res['stored_bytes'] = sum(o.stat().st_size for o in cache_dir().rglob('rows'))
    for n_bytes in (size // 64, size // 16):
        make_table(file, n_bytes)
        res[f'{n_bytes} bytes in memory'] = apart(read_in_memory, file)
    return res


# --- pictures


def make_pictures(folder, n, side, different=50, seed=0):
    "JPEG files of noise with the frequencies of a photo, in two classes; `different` ones, repeated."
    import PIL.Image

    rng, blobs = np.random.default_rng(seed), []
    for _ in range(different):
        parts = [rng.integers(0, 256, (k, k, 3), dtype=np.uint8) for k in (4, 16, 64, 256)]
        large = [np.asarray(PIL.Image.fromarray(o).resize((side, side), 3), float) for o in parts]
        blend = sum(o / 2**i for i, o in enumerate(large)) / sum(0.5**i for i in range(4))
        f = BytesIO()
        PIL.Image.fromarray(blend.astype(np.uint8)).save(f, 'jpeg', quality=90)
        blobs.append(f.getvalue())
    for i in range(n):
        file = folder / str(i % 2) / f'{i}.jpg'
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(blobs[i % different])


def picture_bunch(folder, size, workers):
    from lesson7_lib.vision.image_data import ImageList
    from lesson7_lib.vision.transforms import get_transforms

    labels = ImageList.from_folder(folder).no_split().label_from_folder()
    return labels.transform(get_transforms(), size=size).databunch(bs=32, num_workers=workers)


def train_pictures(folder, size, workers, margin):
    "An epoch of a small network; how long it waits for its batches, and what a picture costs in processor time."
    from torch import nn

    from lesson7_lib.core.env import defaults
    from lesson7_lib.vision import photo

    set_start_method('fork', force=True)  # as in a script of one's own; here this process was spawned
    defaults.image_memory, photo.draft_margin = 0, margin
    data = picture_bunch(folder, size, workers)
    widths = [3, 16, 32, 64, 64]
    layers = [nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.BatchNorm2d(b), nn.ReLU()) for a, b in zip(widths, widths[1:])]
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 2))
    opt, waited, computed, n = torch.optim.SGD(net.parameters(), 0.01), 0.0, 0.0, 0
    with Watch() as watch:
        batches = iter(data.train_dl)
        while True:
            start = time.perf_counter()
            if (batch := next(batches, None)) is None:
                break
            waited += time.perf_counter() - start
            begin = time.process_time()
            loss = nn.functional.cross_entropy(net(batch[0]), batch[1])
            opt.zero_grad()
            loss.backward()
            opt.step()
            computed += time.process_time() - begin
            n += len(batch[1])
    child = resource.getrusage(resource.RUSAGE_CHILDREN)
    ms = dict(
        main=watch.cpu_seconds - computed, compute=computed, workers=child.ru_utime + child.ru_stime
    )  # without workers, decoding is in `main`
    return watch.result() | dict(
        pictures=n,
        waiting_share=round(waited / watch.seconds, 3),
        cpu_ms_a_picture={k: round(1000 * o / n, 3) for k, o in ms.items()},
        workers_peak_rss_mb=child.ru_maxrss >> 10,
    )


def run_pictures(args, folder):
    res = dict(n=args.n, side=args.side, size=args.size, synthetic=True)
    make_pictures(folder, args.n, args.side)
    for margin in (2.0, 1.25):
        for workers in (0, 1, 2):
            name = f'margin {margin}, {workers} workers'
            res[name] = apart(train_pictures, folder, args.size, workers, margin)
            print(name, res[name], flush=True)
    return res


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('what', choices=['text', 'table', 'pictures'])
    parser.add_argument('--gb', type=float, default=2.0, help='size of the file in 10^9 bytes')
    parser.add_argument('--kinds', nargs='+', choices=['words', 'characters'], default=['words', 'characters'])
    parser.add_argument('--steps', type=int, default=200, help='of training')
    parser.add_argument('--n', type=int, default=5000, help='pictures')
    parser.add_argument('--side', type=int, default=512, help='pixels of a side of a picture file')
    parser.add_argument('--size', type=int, default=160, help='pixels of a side in training')
    parser.add_argument('--folder', type=Path, help='where the files go, which are removed at the end')
    parser.add_argument('--save', type=Path, help='the file for the results')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as d:
        os.environ['LESSON7_CACHE'] = str(Path(d) / 'cache')
        folder = Path(d) / args.what
        folder.mkdir()
        res = dict(text=run_text, table=run_table, pictures=run_pictures)[args.what](args, folder)
    hidden = [sys.argv.index(o) for o in ('--folder', '--save') if o in sys.argv]  # where, not what
    shown = [o for i, o in enumerate(sys.argv) if i and i not in hidden and i - 1 not in hidden]
    facts = dict(
        command='python tests/soak/data.py ' + ' '.join(shown),
        date=datetime.now().isoformat(timespec='seconds'),
        cpus=os.cpu_count(),
        threads=torch.get_num_threads(),
        load=os.getloadavg()[0],
        python=platform.python_version(),
        torch=torch.__version__,
        **res,
    )
    print(json.dumps(facts, indent=1))
    if args.save:
        args.save.write_text(json.dumps(facts, indent=1) + '\n')


if __name__ == '__main__':
    main()
