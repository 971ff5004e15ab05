"""What the benchmarks of single lessons share: one process in the environment of `run.py` for each measurement,
ratios within a round, a table,
a record in results/. `unet.py`, `gan.py`, `feature.py` and `text.py` bring only their sides and what is compared."""

import argparse
import gc
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from run import human, make_env, middle, pip, say

HERE = Path(__file__).resolve().parent


def parser(doc, metric, rounds=9):
    "The options that all have; `metric` names the record, `rounds` is what a measurement to quote takes"
    p = argparse.ArgumentParser(description=doc)
    p.add_argument('--quick', action='store_true', help='little work and few rounds: a look, not a number to quote')
    p.add_argument(
        '--out',
        type=Path,
        default=HERE.parent / 'results',
        help=f"folder for benchmark_{metric}.json (default: the checkout's results/)",
    )
    p.add_argument(
        '--cache',
        type=Path,
        default=Path(os.environ.get('LESSON7_CACHE', Path.home() / '.lesson7')) / 'benchmark',
        help="folder for the environment (default: benchmark/ in the library's cache)",
    )
    p.add_argument(
        '--python', default=None, help='a Python that has fastai and torch, used instead of making an environment'
    )
    p.add_argument('--threads', type=int, default=2, help='torch threads (default: 2)')
    p.add_argument('--rounds', type=int, default=None, help=f'rounds (default: {rounds}; quick: 3)')
    p.add_argument('--check', action='store_true', help='exit with 1 if a target is missed')
    p.add_argument('--inside', help=argparse.SUPPRESS)
    p.add_argument('--to', help=argparse.SUPPRESS)
    p.set_defaults(metric=metric, most_rounds=rounds)
    return p


def parse(p):
    "The options, with the number of rounds filled in"
    a = p.parse_args()
    a.rounds = a.rounds or (3 if a.quick else a.most_rounds)
    return a


def inside(a, measure):
    "Called in the environment: what `measure(a)` returns, as a file for the process outside"
    import torch

    torch.set_num_threads(a.threads)
    Path(a.to).write_text(json.dumps(measure(a)))


def parse_pictures(p):
    "The options of those that train on pictures, with rounds and sizes filled in"
    p.add_argument('--size', type=int, default=None, help='pictures of size×size (default: 128; quick: 64)')
    p.add_argument('--bs', type=int, default=None, help='pictures in a batch (default: 8; quick: 2)')
    p.add_argument('--sides', default=None, type=lambda s: s.split(','), help='some of the sides (default: all)')
    a = parse(p)
    a.size, a.bs = a.size or (64 if a.quick else 128), a.bs or (2 if a.quick else 8)
    return a


def turns(steps, rounds, own=False):
    """Seconds of each step, by its name: they take turns, another begins each round, one round is thrown away.
    `own`: a step returns its seconds itself"""
    res, names = {k: [] for k in steps}, list(steps)
    for r in range(-1, rounds):
        for k in names[r % len(names) :] + names[: r % len(names)]:
            gc.collect()
            start = time.perf_counter()
            t = steps[k]()
            if r >= 0:
                res[k].append(t if own else time.perf_counter() - start)
    return res


def sync():
    "Wait until a GPU has done what it was given"
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


def processor():
    "What PyTorch finds in the processor"
    import torch

    has_bf16 = any(
        getattr(torch.cpu, f, lambda: False)() for f in ('_is_avx512_bf16_supported', '_is_amx_tile_supported')
    )
    return dict(capability=torch.backends.cpu.get_cpu_capability(), bf16_hardware=has_bf16)


def worth_timing(sides):
    """Without bf16 arithmetic in the processor a step in bf16 is emulated: it takes ten times as long and says nothing.
    Such sides are left out, unless nothing else is asked for"""
    plain = [o for o in sides if 'bf16' not in o]
    return plain if plain and not processor()['bf16_hardware'] else sides


def timed_rows(compare, times, without='it is emulated'):
    """The rows of a list of comparisons (key, title, (ours, rival), limit), as far as both sides were timed. bf16 is
    compared with the target only where the processor has it;
    `without`: what happens elsewhere"""
    rows = []
    for key, title, (mine, rival), limit in compare:
        if mine not in times['seconds'] or rival not in times['seconds']:
            continue
        note = f'no bf16 hardware: {without}' if 'bf16' in key and not times['bf16_hardware'] else ''
        rows.append(
            row(key, title, times['seconds'][mine], times['seconds'][rival], rival, None if note else limit, note=note)
        )
    return rows


def picture_record(a, times):
    "What the record of a benchmark on pictures holds beside its rows"
    return dict(
        size=a.size,
        bs=a.bs,
        sizes=times['params'],
        capability=times['capability'],
        bf16_hardware=times['bf16_hardware'],
    )


def add_package(python, module, name):
    "A package of the rival's in the environment, once"
    if subprocess.run([python, '-c', f'import {module}'], capture_output=True).returncode:
        say(f'Installing {name} …')
        pip(python, name)


def call(a, python, kind, **options):
    "One process in the environment, of the file that was started"
    with tempfile.TemporaryDirectory() as d:
        to = Path(d) / 'res.json'
        cmd = [
            python,
            Path(sys.argv[0]).resolve(),
            '--inside',
            kind,
            '--to',
            to,
            '--threads',
            a.threads,
            '--rounds',
            a.rounds,
        ]
        for k, v in options.items():
            cmd += [f'--{k}', v]
        env = {k: v for k, v in os.environ.items() if k not in ('PYTHONPATH', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS')}
        env.update(
            CUDA_VISIBLE_DEVICES='', OMP_NUM_THREADS=str(a.threads), PYTHONWARNINGS='ignore', MPLBACKEND='agg', CI='1'
        )
        r = subprocess.run([str(o) for o in cmd], env=env, capture_output=True, text=True, cwd=d)
        if r.returncode:
            raise SystemExit(f'{kind} failed:\n{r.stderr[-3000:]}')
        return json.loads(to.read_text())


def row(key, title, mine, theirs, rival, limit=None, unit='s', note=''):
    "One comparison: two lists with a number for each round; `limit` is the largest ratio allowed"
    res = dict(
        key=key,
        title=title,
        ours=statistics.median(mine),
        rival=rival,
        theirs=statistics.median(theirs),
        unit=unit,
        note=note,
        ratio=middle([x / y for x, y in zip(mine, theirs)]),
        raw=[mine, theirs],
    )
    if limit is not None:
        res['target'] = dict(rival=rival, limit=limit, met=res['ratio']['median'] <= limit)
    return res


def table(rows):
    "The rows as text"
    val = lambda v, u: f'{v / 2**20:.0f} MiB' if u == 'bytes' else human(v)
    out = [['what', 'ours', 'against', '', 'ratio', 'target', '']]
    for r in rows:
        t, q = r.get('target'), r['ratio']
        out.append(
            [
                r['title'],
                val(r['ours'], r['unit']),
                r['rival'],
                val(r['theirs'], r['unit']),
                '{median:.3f} ({low:.3f}-{high:.3f})'.format(**q),
                f"<= {t['limit']}" if t else '',
                r['note'] or (('ok' if t['met'] else 'MISSED') if t else ''),
            ]
        )
    wide = [max(map(len, c)) for c in zip(*out)]
    lines = ['  '.join(c.ljust(w) for c, w in zip(r, wide)).rstrip() for r in out]
    return '\n'.join([lines[0], '  '.join('-' * w for w in wide), *lines[1:]])


def machine(a):
    "What it ran on"
    info = Path('/proc/cpuinfo').read_text() if Path('/proc/cpuinfo').exists() else ''
    cpu = next(
        (l.split(':', 1)[1].strip() for l in info.splitlines() if l.startswith('model name')), platform.processor()
    )
    load = os.getloadavg()[0] if hasattr(os, 'getloadavg') else None
    return dict(
        date=time.strftime('%Y-%m-%d'), device='cpu', cpu=cpu, cores=os.cpu_count(), threads=a.threads, load_at_end=load
    )


def versions(python, packages):
    code = (
        f"import importlib.metadata as m, json, sys; print(json.dumps({{o: m.version(o) for o in {packages!r}}} | "
        "dict(python=sys.version.split()[0])))"
    )
    return json.loads(
        subprocess.run(
            [python, '-c', code], capture_output=True, text=True, check=True, cwd=tempfile.gettempdir()
        ).stdout
    )


def run(a, measure, packages):
    """Makes the environment, calls `measure(python)`, which returns rows and further circumstances, writes the
    record and prints the table"""
    start, a.cache = time.time(), a.cache.resolve()
    a.cache.mkdir(parents=True, exist_ok=True)
    python = str(make_env(a.cache, a.python))
    rows, more = measure(python)
    met = [r['target']['met'] for r in rows if 'target' in r]
    words = [Path(o).name if os.path.isabs(o) else o for o in sys.argv[1:]]
    rec = dict(
        lesson='benchmark',
        metric=a.metric,
        value=sum(met),
        unit=f'of {len(met)} targets met',
        **machine(a),
        seconds=time.time() - start,
        rounds=a.rounds,
        quick=a.quick,
        versions=versions(python, packages),
        command=shlex.join(['python', f'benchmarks/{Path(sys.argv[0]).name}', *words]),
        **more,
        rows=rows,
    )
    a.out.mkdir(parents=True, exist_ok=True)
    fn = a.out / f'benchmark_{a.metric}.json'
    fn.write_text(json.dumps(rec, indent=1) + '\n')
    print(table(rows))
    print(
        f'\nRatios: median (quartiles) over {a.rounds} rounds, below 1 means that ours is faster or smaller. {a.threads} thread(s).'
    )
    if rec['load_at_end'] and rec['load_at_end'] > 3:
        print(f"The machine was busy (load {rec['load_at_end']:.1f}): measure again when it is quiet.")
    print(f'Written: {fn.name} ({rec["seconds"] / 60:.1f} min)')
    if a.check and not all(met):
        raise SystemExit('Missed: ' + '; '.join(r['title'] for r in rows if 'target' in r and not r['target']['met']))
