#!/usr/bin/env python3
"""Measure lesson7_lib side by side with fastai v2 and with a hand-written loop, in an environment of its own.

Needs Python 3.10+ and the package registry, nothing else. `benchmarks/README.md` tells how to read the table."""

import argparse
import hashlib
import json
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NEEDS = ['fastai>=2.8', 'torch', 'torchvision']
PACKAGE = ['lesson7_lib', 'setup.py', 'settings.ini', 'README.md', 'LICENSE', 'MANIFEST.in']
IMPORTS = dict(
    torch='import torch',
    trio='import torch, torchvision, matplotlib.pyplot',
    learner='import lesson7_lib.core.learner',
    all='import lesson7_lib.all',
    fastai='import fastai.vision.all',
)
LATE = ('torchvision', 'matplotlib')  # what the import of a module that shows no pictures must leave alone

# what is compared: key of the measurement -> (title, unit, side against ours, largest ratio allowed)
TARGETS = [
    ('folder_first', 'fastai', 0.9),
    ('folder_later', 'fastai', 0.6),
    ('loop_tiny', 'hand', 2.0),
    ('loop_cnn', 'hand', 1.05),
    ('import_all', 'trio', 1.1),
    ('rss', 'uint8', 1.3),
]
TITLES = dict(
    folder_first='picture folder, first epoch (with reading the folder)',
    folder_later='picture folder, a later epoch',
    memory='tensors in memory, epoch',
    loop_tiny='loop, one linear layer, per batch',
    loop_cnn="loop, the lesson's CNN, per batch",
    import_all='import lesson7_lib.all',
    import_learner='import lesson7_lib.core.learner',
)


# ---------------------------------------------------------------- the environment
def say(*o):
    print(*o, file=sys.stderr, flush=True)


def python_of(env):
    return env / ('Scripts/python.exe' if os.name == 'nt' else 'bin/python')


def sources():
    "The files of the package, and one hash of all of them"
    fs = sorted(f for o in PACKAGE for f in ([ROOT / o] if (ROOT / o).is_file() else (ROOT / o).rglob('*.py')))
    h = hashlib.sha256()
    for f in fs:
        h.update(str(f.relative_to(ROOT)).encode() + b'\0' + f.read_bytes())
    return fs, h.hexdigest()


def pip(python, *args):
    r = subprocess.run(
        [python, '-m', 'pip', 'install', '-q', '--disable-pip-version-check', *args], capture_output=True, text=True
    )
    if r.returncode:
        raise SystemExit(f'pip install {" ".join(map(str, args))} failed:\n{(r.stderr or r.stdout)[-3000:]}')


def make_env(cache, python=None):
    """The environment's Python, with this checkout installed; made once, the package anew whenever its files
    have changed"""
    env, mark = cache / 'env', cache / 'env.json'
    have = json.loads(mark.read_text()) if mark.exists() else {}
    if python is None:
        python = python_of(env)
        if have.get('needs') != NEEDS or not python.exists():
            say(f'Making an environment with {", ".join(NEEDS)}: some gigabytes and minutes, once …')
            subprocess.run([sys.executable, '-m', 'venv', '--clear', env], check=True)
            pip(python, *NEEDS)
            have = dict(needs=NEEDS)
            mark.write_text(json.dumps(have))
    fs, sha = sources()
    if have.get('package') != sha or have.get('python') != str(python):
        say('Installing lesson7_lib from this checkout …')
        with tempfile.TemporaryDirectory() as d:  # from a copy: building leaves nothing in the checkout
            for f in fs:
                to = Path(d) / f.relative_to(ROOT)
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(f, to)
            pip(python, d)  # with what it needs
            pip(python, '--force-reinstall', '--no-deps', d)
        mark.write_text(json.dumps({**have, 'package': sha, 'python': str(python)}))
    return python


# ---------------------------------------------------------------- running the parts
class Bench:
    "Runs the measurements in the environment and saves their results"

    def __init__(self, a, python):
        self.a, self.python, self.raw = a, python, {}
        self.pics = a.cache / 'pictures' / f'{a.pictures}'
        self.env = {
            k: v for k, v in os.environ.items() if k not in ('PYTHONPATH', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS')
        }
        self.env.update(
            CUDA_VISIBLE_DEVICES='',
            LESSON7_CACHE=str(a.cache / 'lesson7'),
            CI='1',
            PYTHONWARNINGS='ignore',
            MPLBACKEND='agg',
        )

    def side(self, work, data='', threads=2, **kw):
        "One measurement of `sides.py` in a fresh process"
        with tempfile.TemporaryDirectory() as d:
            to = Path(d) / 'res.json'
            args = [self.python, Path(__file__).with_name('sides.py'), work, '--to', to, '--data', data]
            args += ['--threads', threads, '--rounds', self.a.rounds]
            for k, v in kw.items():
                args += [f'--{k}', v]
            if self.a.quick:
                args += ['--quick']
            env = {**self.env, 'OMP_NUM_THREADS': str(threads)}
            r = subprocess.run([str(o) for o in args], env=env, capture_output=True, text=True, cwd=d)
            if r.returncode:
                raise SystemExit(f'{work} failed:\n{r.stderr[-3000:]}')
            return json.loads(to.read_text())

    def imports(self):
        "Each import in fresh processes, in turn; the first turn warms the file cache and compiles the bytecode"
        code = (
            'import sys, time, json; t, c = time.perf_counter(), time.process_time(); {}; '
            'print(json.dumps([time.perf_counter()-t, time.process_time()-c, [o for o in {!r} if o in sys.modules]]))'
        )
        res = {k: [] for k in IMPORTS}
        for r in range(-1, self.a.rounds):
            for k, v in IMPORTS.items():
                cmd = [str(self.python), '-c', code.format(v, LATE)]
                out = subprocess.run(cmd, env=self.env, capture_output=True, text=True, cwd=self.a.cache)
                if out.returncode:
                    raise SystemExit(f'{v} failed:\n{out.stderr[-2000:]}')
                if r >= 0:
                    res[k].append(json.loads(out.stdout.splitlines()[-1]))
        secs = {k: [o[0] for o in v] for k, v in res.items()}
        return dict(
            import_all=dict(ours=secs['all'], trio=secs['trio'], fastai=secs['fastai']),
            import_learner=dict(ours=secs['learner'], torch=secs['torch']),
            import_cpu={k: [o[1] for o in v] for k, v in res.items()},
            import_brings={k: v[0][2] for k, v in res.items()},
        )

    def all(self):
        a = self.a
        say('Drawing the pictures …')
        self.side('pictures', self.pics / 'digits', n=a.pictures, many=a.many)
        if 'check' in a.parts:
            say('Does everything import and learn in this environment?')
            self.raw.update(self.side('check', self.pics / 'digits'))
        if 'import' in a.parts:
            say('Imports …')
            self.raw.update(self.imports())
        if 'memory' in a.parts and a.many:
            say('Memory …')
            self.raw.update(self.side('rss', self.pics / 'many', threads=1))
        for t in a.threads:
            for part in ('loop', 'tensors', 'folder'):
                if part not in a.parts:
                    continue
                say(f'{part}, {t} thread(s) …')
                res = self.side(dict(tensors='memory').get(part, part), self.pics / 'digits', threads=t, n=a.pictures)
                self.raw.update({f'{k}@{t}': v for k, v in res.items()})
        return self.raw


# ---------------------------------------------------------------- ratios
def middle(xs):
    "Median and quartiles"
    q = statistics.quantiles(xs, n=4, method='inclusive') if len(xs) > 1 else [xs[0]] * 3
    return dict(median=statistics.median(xs), low=q[0], high=q[2])


def rivals(sides):
    "The best of each rival: `fastai` and `fastai_2w` are one rival with two settings"
    res = {}
    for k, v in sides.items():
        name = k.split('_')[0]
        if name not in res or statistics.median(v) < statistics.median(sides[res[name]]):
            res[name] = k
    return res


def ratio(sides, rival):
    "Ours to `rival`, round by round"
    mine, other = sides['ours'], sides[rival]
    return dict(
        middle([x / y for x, y in zip(mine, other)]),
        of_medians=statistics.median(mine) / statistics.median(other),
        setting=rival,
    )


def compare(raw):
    "One row for each measurement: medians, ratios, and the target where there is one"
    rows = []
    for key, sides in raw.items():
        name, _, t = key.partition('@')
        if name not in TITLES:
            continue
        ratios = {k: ratio(sides, v) for k, v in rivals(sides).items() if k != 'ours'}
        secs = {k: middle(v) for k, v in sides.items()}
        rows.append(dict(key=name, threads=int(t) if t else None, title=TITLES[name], seconds=secs, ratios=ratios))
    if 'rss' in raw:
        r = raw['rss']
        one = dict(median=r['ratio'], low=r['ratio'], high=r['ratio'], setting='uint8')
        title = f"memory for {r['pictures']} pictures"
        rows.append(dict(key='rss', threads=None, title=title, bytes=r, seconds={}, ratios=dict(uint8=one)))
    for row in rows:
        for key, rival, limit in TARGETS:
            if row['key'] == key and rival in row['ratios'] and row['threads'] in (None, 2):
                row['target'] = dict(rival=rival, limit=limit, met=row['ratios'][rival]['median'] <= limit)
    return rows


def human(s):
    return f'{s:.2f} s' if s >= 1 else f'{s * 1e3:.1f} ms' if s >= 1e-3 else f'{s * 1e6:.0f} us'


def cells(row):
    "One row of the table as text"
    secs, ratios, t = row['seconds'], row['ratios'], row.get('target')

    def cell(k):
        return human(secs[k]['median']) if k in secs else ''

    def quot(k):
        return '{median:.2f} ({low:.2f}-{high:.2f})'.format(**ratios[k]) if k in ratios else ''

    ref = next((k for k in ('hand', 'trio', 'torch', 'uint8') if k in ratios), '')
    what, mine, ours_ref = cell(ratios[ref]['setting']) if ref else '', cell('ours'), quot(ref)
    if ref in IMPORTS:
        what += f' {IMPORTS[ref][7:]}'
    if ref == 'uint8':
        mine, what = [f"{row['bytes'][k] / 2**20:.1f} MiB" for k in ('growth', 'uint8_bytes')]
        ours_ref, what = ours_ref.split()[0], what + ' as uint8'
    fast = ratios['fastai']['setting'] if 'fastai' in ratios else 'fastai'
    goal = f"{'fastai' if t['rival'] == 'fastai' else 'reference'} <= {t['limit']}" if t else ''
    verdict = ('ok' if t['met'] else 'MISSED') if t else ''
    return [row['title'], str(row['threads'] or ''), mine, what, cell(fast), ours_ref, quot('fastai'), goal, verdict]


def table(rows):
    "The rows as text"
    head = [
        'what',
        'threads',
        'ours',
        'by hand or reference',
        'fastai v2',
        'ours / reference',
        'ours / fastai',
        'target',
        '',
    ]
    out = [head, *map(cells, rows)]
    wide = [max(map(len, c)) for c in zip(*out)]
    lines = ['  '.join(c.ljust(w) for c, w in zip(r, wide)).rstrip() for r in out]
    return '\n'.join([lines[0], '  '.join('-' * w for w in wide), *lines[1:]])


# ---------------------------------------------------------------- the record
def circumstances(bench, seconds):
    "Versions, machine and command"
    code = (
        "import importlib.metadata as m, json, sys; print(json.dumps({o: m.version(o) for o in "
        """('torch','torchvision','fastai','fastcore','numpy','pillow','lesson7_lib')} |
        dict(python=sys.version.split()[0])))"""
    )
    out = subprocess.run(
        [str(bench.python), '-c', code], capture_output=True, text=True, check=True, cwd=bench.a.cache
    ).stdout
    versions = json.loads(out)
    info = Path('/proc/cpuinfo').read_text() if Path('/proc/cpuinfo').exists() else ''
    cpu = next(
        (l.split(':', 1)[1].strip() for l in info.splitlines() if l.startswith('model name')), platform.processor()
    )
    load = os.getloadavg()[0] if hasattr(os, 'getloadavg') else None
    a = bench.a
    return dict(
        versions=versions,
        device='cpu',
        cpu=cpu,
        cores=os.cpu_count(),
        system=platform.system(),
        load_at_end=load,
        seconds=seconds,
        command=command(),
        rounds=a.rounds,
        pictures=a.pictures,
        quick=a.quick,
    )


def command():
    "What was typed, without anybody's folders"
    words = [Path(o).name if os.path.isabs(o) else o for o in sys.argv[1:]]
    return shlex.join(['python', 'benchmarks/run.py', *words])


def save_with_library(src, dest):
    """Called in the environment: the gathered record through `lesson7_lib.core.results`, which adds its own
    versions, date and commit"""
    from lesson7_lib.core.results import save_result

    rec = json.loads(src.read_text())
    met = [r['target']['met'] for r in rec['rows'] if 'target' in r]
    more = {k: v for k, v in rec.items() if k not in ('versions', 'seconds', 'command', 'device')}
    more['benchmark_versions'] = rec['versions']
    return save_result(
        'benchmark',
        '01',
        sum(met),
        unit=f'of {len(met)} targets met',
        seconds=rec['seconds'],
        pictures_are='built-in digits (synthetic)',
        command=rec['command'],
        folder=dest,
        **more,
    )


def save(bench, rec, out):
    "`out/benchmark_01.json`, by the library where it can, plainly where it cannot"
    out.mkdir(parents=True, exist_ok=True)
    fn = out / 'benchmark_01.json'
    src = bench.a.cache / 'last.json'
    src.write_text(json.dumps(rec, indent=1))
    try:
        bench.side('save', src, dest=out.resolve())
    except SystemExit as e:
        say(f'(lesson7_lib.core.results did not write it: {str(e).strip().splitlines()[-1]})')
        met = [r['target']['met'] for r in rec['rows'] if 'target' in r]
        head = dict(lesson='benchmark', metric='01', value=sum(met), unit=f'of {len(met)} targets met')
        fn.write_text(json.dumps({**head, **rec}, indent=1) + '\n')
    return fn


def main():
    parts = 'check,import,memory,loop,tensors,folder'
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--quick', action='store_true', help='fewer pictures and rounds: a look, not a number to quote')
    p.add_argument(
        '--out',
        type=Path,
        default=ROOT / 'results',
        help="folder for benchmark_01.json (default: the checkout's results/)",
    )
    p.add_argument(
        '--cache',
        type=Path,
        default=Path(os.environ.get('LESSON7_CACHE', Path.home() / '.lesson7')) / 'benchmark',
        help='folder for the environment and the pictures (default: benchmark/ in the library\'s cache)',
    )
    p.add_argument(
        '--python',
        default=None,
        help='a Python that has fastai and torch, used instead of making an environment; lesson7_lib is installed in it',
    )
    p.add_argument('--parts', default=parts, type=lambda s: s.split(','), help=f'some of {parts}')
    p.add_argument(
        '--threads',
        default=None,
        type=lambda s: [int(o) for o in s.split(',')],
        help='torch threads, one run for each (default: 2,1; quick: 2)',
    )
    p.add_argument(
        '--rounds',
        type=int,
        default=None,
        help='rounds, in each of which every side has its turn (default: 5; quick: 3; the short measurements take more)',
    )
    p.add_argument(
        '--pictures', type=int, default=None, help='training pictures in the folder (default: 6000; quick: 1536)'
    )
    p.add_argument('--many', type=int, default=60000, help='pictures for the memory measurement')
    p.add_argument('--check', action='store_true', help='exit with 1 if a target is missed')
    a = p.parse_args()
    threads, rounds, pictures = ([2], 3, 1536) if a.quick else ([2, 1], 5, 6000)
    a.threads, a.rounds, a.pictures = a.threads or threads, a.rounds or rounds, a.pictures or pictures
    unknown = set(a.parts) - set(parts.split(','))
    if unknown:
        p.error(f'no such part: {", ".join(sorted(unknown))}; there are {parts}')
    a.cache = a.cache.resolve()
    a.cache.mkdir(parents=True, exist_ok=True)
    start = time.time()
    bench = Bench(a, make_env(a.cache, a.python))
    raw = bench.all()
    rows = compare(raw)
    rec = dict(rows=rows, raw=raw, **circumstances(bench, time.time() - start))
    fn = save(bench, rec, a.out)
    if rows:
        print(table(rows))
    print(
        '\nRatios: median (quartiles) over the rounds, below 1 means that ours is faster. '
        'In the folder, fastai and the hand-written loop run with the better of 0 and 2 workers.'
    )
    if 'import_cpu' in raw:
        cpu = {k: statistics.median(v) for k, v in raw['import_cpu'].items()}
        print(
            f"Imports in CPU seconds, which other work disturbs less: all / reference {cpu['all'] / cpu['trio']:.2f}, "
            f"learner / torch {cpu['learner'] / cpu['torch']:.2f}."
        )
    brings = raw.get('import_brings', {}).get('learner')
    if brings is not None:
        print(f"lesson7_lib.core.learner imports {' and '.join(brings) or 'neither torchvision nor matplotlib'}.")
    c = raw.get('check')
    if c:
        print(
            f"{len(c['modules'])} modules import on fastcore {c['fastcore']}; a small fit learns, and ends where the hand-written loop "
            f"ends (validation loss {c['loss_learner']:.5f} and {c['loss_hand']:.5f})."
        )
    load = rec['load_at_end']
    if load and load > 3:
        print(f'The machine was busy (load {load:.1f}): measure again when it is quiet.')
    print(f'Written: {fn.name} ({rec["seconds"] / 60:.1f} min)')
    missed = [r['title'] for r in rows if 'target' in r and not r['target']['met']] + (
        ['imports of learner'] if brings else []
    )
    if a.check and missed:
        raise SystemExit(f'Missed: {"; ".join(missed)}')


if __name__ == '__main__':
    main()
