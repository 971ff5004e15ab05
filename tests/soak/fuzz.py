"""Damaged files of every kind that the library reads: what happens is counted.

    python tests/soak/fuzz.py --n 1000 --seed 0 --log FOLDER

With `--log`, the same command goes on after an interruption.

Valid files are changed at random and read in a child process. Reading may end in two ways: the file is refused with an
error of the library, or it is read. Everything else is a fault: another error, the end of the process, more than two
seconds of the processor, a program that is started, a file written outside. Checkpoints and exports are changed as in
`strangers.py`.
"""

import argparse
import bz2
import gzip
import io
import json
import lzma
import multiprocessing
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter, defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import strangers
import test_download
import torch
from PIL import Image

from lesson7_lib.core.archives import ArchiveError, safe_extract
from lesson7_lib.core.columns import read_table
from lesson7_lib.text.text_list import TextError, TextList
from lesson7_lib.vision.masks import MaskError, read_mask
from lesson7_lib.vision.photo import ImageError, decode_image, open_photo

SHARES = dict(archives=20, pictures=34, masks=12, csv=16, texts=16, checkpoints=2)  # per cent of the files
# --- valid files


def picture(kind, mode):
    pixels = (np.arange(24 * 20 * 3).reshape(24, 20, 3) * 7 % 256).astype(np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(out, kind)
    return out.getvalue()


PICTURES = {
    f'{mode}.{kind.lower()}': picture(kind, mode)
    for kind, modes in dict(PNG='RGB RGBA P L 1', JPEG='RGB L', GIF='P', BMP='RGB', TIFF='RGB', WEBP='RGB').items()
    for mode in modes.split()
}
ROWS = 'n,w,date,y\n' + '\n'.join(
    f'{i / 3:.3f},"{"abc"[i % 3]}, ä",2019-01-{i + 1:02},{"yes" if i % 2 else ""}' for i in range(20)
)
TEXTS = 'label,text,is_valid\n' + '\n'.join(
    f'{"np"[i % 2]},"one ""two""\nxxbos xxmaj, {i} ü",{i % 3 == 0}' for i in range(20)
)
SETS = dict(
    archives={**test_download.ARCHIVES, 'a.tar': test_download.tar()},
    pictures=PICTURES,
    masks={k: v for k, v in PICTURES.items() if k in ('P.png', 'L.png', '1.png', 'P.gif')},
    csv={'a.csv': ROWS.encode(), 'b.csv': ROWS.replace(',', ';').encode()},
    texts={'a.csv': TEXTS.encode(), 'b.csv': TEXTS.encode('utf-16'), 'c.csv': TEXTS.encode('latin-1')},
)

# --- changes

SIGNS = [
    b'"',
    b',',
    b'\n',
    b'\r',
    b'\0',
    b'\xff',
    b'\xef\xbb\xbf',
    b'1e999',
    b'nan',
    b'-0',
    b'9' * 400,
    'ä'.encode(),
    b';',
    b"'",
]
PACK = {'.tgz': gzip.compress, '.bz2': bz2.compress, '.xz': lzma.compress}


def change(kind, name, content, rnd):
    "The changed bytes of a file."
    if kind in ('csv', 'texts') and rnd.random() < 0.6:
        for _ in range(rnd.choice([1, 2, 9])):
            i = rnd.randrange(len(content))
            content = content[:i] + rnd.choice(SIGNS) + content[i + rnd.choice([0, 0, 1, 5]) :]
        return content
    pack = PACK.get(Path(name).suffix)
    if kind == 'archives' and pack and rnd.random() < 0.5:  # the archive inside, with a right sum around it
        return pack(with_sums(strangers.change_bytes(test_download.tar(), rnd)))
    return strangers.change_bytes(content, rnd)


def with_sums(content):
    "The bytes of a tar archive, its headers with sums that are right."
    content = bytearray(content)
    for start in range(0, len(content) - 511, 512):
        if content[start + 257 : start + 262] == b'ustar':
            content[start + 148 : start + 156] = b' ' * 8
            content[start + 148 : start + 155] = b'%06o\0' % sum(content[start : start + 512])
    return bytes(content)


# --- reading


def read_texts(file):
    return len(TextList.from_csv(file.parent, file.name))


def read_picture(file):
    decode_image(file, size=(8, 8))
    open_photo(file)


READ = dict(
    archives=(lambda file: safe_extract(file, file.parent / 'out'), ArchiveError),
    pictures=(read_picture, ImageError),
    masks=(read_mask, MaskError),
    csv=(read_table, ValueError),
    texts=(read_texts, (TextError, ValueError)),
)


def is_ours(e, errors):
    "Is it of the promised class? A bare `ValueError` has to be raised by the library itself, not by what it calls."
    if not isinstance(e, errors):
        return False
    if type(e) is not ValueError and type(e).__module__.startswith('lesson7_lib'):
        return True
    return type(e) is ValueError and 'lesson7_lib' in traceback.extract_tb(e.__traceback__)[-1].filename


def one(kind, name, content, seed, folder, watch):
    "Change and read one file: a dictionary with what happened."
    rnd = random.Random(seed)
    file = folder / name
    file.write_bytes(change(kind, name, content, rnd))
    read, errors = READ[kind]
    end, why = 'read', ''
    signal.signal(signal.SIGALRM, strangers.out_of_time)
    signal.setitimer(signal.ITIMER_REAL, 10 * strangers.SLOW)
    used = time.process_time()
    watch.on = True
    try:
        read(file)
    except strangers.Slow:
        end = 'slow'
    except Exception as e:
        end = 'refused' if is_ours(e, errors) else 'raw'
        at = traceback.extract_tb(e.__traceback__)[-1]
        why = '' if end == 'refused' else f'{type(e).__name__}: {str(e)[:90]} ({Path(at.filename).name}:{at.lineno})'
    finally:
        watch.on = False
        signal.setitimer(signal.ITIMER_REAL, 0)
    cpu = time.process_time() - used
    if cpu > strangers.SLOW:
        end = 'slow'
    if watch.seen:
        end, why = 'outside', watch.seen.pop()
        watch.seen.clear()
    shutil.rmtree(folder / 'out', ignore_errors=True)
    return dict(kind=kind, name=name, end=end, why=why, cpu=cpu, seed=seed)


def some(folder, jobs, out):
    "In a child process: one line of JSON for each job."
    resource.setrlimit(resource.RLIMIT_AS, (strangers.MEMORY, strangers.MEMORY))
    warnings.simplefilter('ignore')
    torch.set_num_threads(1)
    watch = strangers.Watch(folder)
    with open(out, 'a') as f:
        for i, (kind, name, seed) in enumerate(jobs):
            res = one(kind, name, SETS[kind][name], seed, folder, watch)
            if i % 100 == 0 or i == len(jobs) - 1:
                res['memory'] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
            f.write(json.dumps(res) + '\n')
            f.flush()


def run(n, seed=0, kinds=None, seconds=None, log=None):
    """Read `n` changed files, or as many as can be in `seconds`: list of dictionaries. With the folder `log`, what it
    holds of an earlier run is not repeated."""
    kinds = kinds or list(SHARES)
    rnd = random.Random(seed)
    drawn = rnd.choices(kinds, [SHARES[k] for k in kinds], k=n)
    limit = time.monotonic() + (seconds or 1e9)
    found = []
    with tempfile.TemporaryDirectory() as tmp:
        folder, out = Path(tmp, 'work'), Path(log or tmp, 'files.jsonl')
        folder.mkdir()
        out.parent.mkdir(exist_ok=True)
        out.touch()
        found = [json.loads(o) for o in out.read_text().splitlines()]
        todo = [(k, rnd.choice(sorted(SETS[k])), seed * 10**7 + i) for i, k in enumerate(drawn) if k in SETS]
        done = len(found)
        while done < len(todo) and time.monotonic() < limit:  # a new child goes on where one has ended
            jobs = todo[done : done + 500]
            child = multiprocessing.get_context('fork').Process(target=some, args=(folder, jobs, out))
            child.start()
            child.join()
            found = [json.loads(o) for o in out.read_text().splitlines()]
            if child.exitcode:
                kind, name, number = todo[len(found)]
                found.append(dict(kind=kind, name=name, end='crash', why=f'exit {child.exitcode}', cpu=0, seed=number))
                with open(out, 'a') as f:
                    f.write(json.dumps(found[-1]) + '\n')
            done = len(found)
    share = drawn.count('checkpoints') * (done / max(1, len(todo))) if todo else n
    if share >= 1:
        names = dict(loaded='read')
        for o in strangers.run(round(share), seed, log=log and log / 'checkpoints.jsonl'):
            found.append({**o, 'kind': 'checkpoints', 'end': names.get(o['end'], o['end'])})
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('--n', type=int, default=1000, help='number of changed files')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--kinds', nargs='*', choices=list(SHARES), help='only these')
    parser.add_argument('--seconds', type=float, help='end after so many')
    parser.add_argument('--log', type=Path, help='keep what is found in this folder, and go on from there')
    parser.add_argument('--save', type=Path, help='write the counts to this JSON file')
    args = parser.parse_args()
    start = time.monotonic()
    res = run(args.n, args.seed, args.kinds, args.seconds, args.log)
    counts = defaultdict(Counter)
    for o in res:
        counts[o['kind']][o['end']] += 1
    for kind, ends in counts.items():
        print(kind, dict(ends))
    for (kind, end, why), k in Counter((o['kind'], o['end'], o['why']) for o in res if o['why']).most_common(60):
        print(f'{k:5} {kind}: {end}: {why}')
    if args.save:
        command = f'python tests/soak/fuzz.py --n {args.n} --seed {args.seed}'
        command += f' --kinds {" ".join(args.kinds)}' if args.kinds else ''
        command += f' --seconds {args.seconds:g}' if args.seconds else ''
        ends = ['read', 'refused', 'raw', 'slow', 'crash', 'outside']
        facts = dict(
            command=command,
            files=len(res),
            seconds=round(time.monotonic() - start),
            memory_mb=max(o.get('memory', 0) for o in res) >> 20,
            longest_cpu_seconds={k: round(max(o['cpu'] for o in res if o['kind'] == k), 2) for k in sorted(counts)},
            ends={k: sum(c[k] for c in counts.values()) for k in ends},
            kinds={k: {e: c[e] for e in ends} for k, c in sorted(counts.items())},
            torch=torch.__version__,
        )
        args.save.write_text(json.dumps(facts, indent=1) + '\n')


if __name__ == '__main__':
    main()
