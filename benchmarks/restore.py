#!/usr/bin/env python3
"""Measure the ready-made restorers: processor time and memory, at 1, 12 and 48 megapixels.

Each size has a process of its own, which restores a file and writes the result, as `lesson7_restore` does. `README.md`
tells how to read the table."""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pairs import machine

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
SECONDS, MEMORY = 3.0, 400.0  # targets: processor seconds a megapixel of input, MB beside the pictures and PyTorch


def status(key):
    "A line of the system's report about this process (Linux), in MB"
    lines = Path('/proc/self/status').read_text().splitlines()
    return int(next(o for o in lines if o.startswith(key)).split()[1]) / 1024


def picture(megapixels, file):
    "Write a photo of this size, 4:3, and hand back its width and height: soft shapes with grain, as JPEG"
    import numpy as np
    import PIL.Image

    w = round((megapixels * 1e6 * 4 / 3) ** 0.5)
    h = round(megapixels * 1e6 / w)
    rng = np.random.default_rng(0)
    shapes = PIL.Image.fromarray(rng.integers(0, 256, (h // 40, w // 40, 3), dtype=np.uint8)).resize((w, h))
    PIL.Image.blend(shapes, PIL.Image.effect_noise((w, h), 30).convert('RGB'), 0.2).save(file, quality=80)
    return w, h


def measure(model, file, threads):
    "One process: time and memory of a picture; what was in use with PyTorch and the library imported does not count"
    import torch

    torch.set_num_threads(threads)
    from lesson7_lib.apps.restore import restore_files

    with tempfile.TemporaryDirectory() as d:
        Path('/proc/self/clear_refs').write_text('5')  # the largest amount counts from here on
        before = status('VmRSS')
        wall, used = time.perf_counter(), time.process_time()
        report = restore_files(file, model, d)
        wall, used = time.perf_counter() - wall, time.process_time() - used
        if len(report.done) != 1:
            raise SystemExit(str(report))
    print(json.dumps(dict(seconds=wall, processor=used, grown=status('VmHWM') - before)))


def row(model, megapixels, threads):
    "A picture in a process of its own; it and the result take 3 bytes a pixel each"
    with tempfile.TemporaryDirectory() as d:
        file = Path(d) / 'photo.jpg'
        w, h = picture(megapixels, file)
        words = [sys.executable, __file__, '--inside', model, str(file), '--threads', str(threads)]
        raw = json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    times = 2 if model == 'x2' else 1
    pictures = w * h * 3 * (1 + times**2) / 2**20
    each = raw['processor'] / (w * h / 1e6)
    res = dict(
        model=model,
        megapixels=megapixels,
        size=[w, h],
        processor_seconds_per_megapixel=each,
        seconds_per_megapixel=raw['seconds'] / (w * h / 1e6),
        grown_mb=raw['grown'],
        pictures_mb=pictures,
        beside_mb=raw['grown'] - pictures,
    )
    res['met'] = each <= SECONDS and res['beside_mb'] <= MEMORY
    return res


def record(rows, a, seconds):
    "The rows with their circumstances"
    from lesson7_lib.core.env import versions

    return dict(
        lesson='benchmark',
        metric='restore',
        value=sum(o['met'] for o in rows),
        unit=f'of {len(rows)} targets met',
        **machine(a),
        seconds=seconds,
        versions=versions(),
        command=' '.join(['python', 'benchmarks/restore.py', *sys.argv[1:]]),
        rows=rows,
    )


def main():
    p = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    p.add_argument('models', nargs='*', default=['photo'], help='ready-made restorers (photo)')
    p.add_argument('--sizes', type=float, nargs='+', default=[1, 12, 48], help='megapixels (1 12 48)')
    p.add_argument('--threads', type=int, default=1, help='1: processor seconds are those of a core that works (1)')
    p.add_argument('--out', type=Path, default=ROOT / 'results', help='folder for the record')
    p.add_argument('--inside', nargs=2, metavar=('MODEL', 'FILE'), help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.inside:
        return measure(*a.inside, a.threads)
    start, rows = time.time(), []
    print('model  megapixels  processor s a megapixel  s a megapixel  MB beside pictures and PyTorch')
    for model in a.models:
        for megapixels in a.sizes:
            rows.append(o := row(model, megapixels, a.threads))
            print(
                f'{model:5}  {megapixels:10g}  {o["processor_seconds_per_megapixel"]:23.2f}  '
                f'{o["seconds_per_megapixel"]:13.2f}  {o["beside_mb"]:30.0f}  {"ok" if o["met"] else "MISSED"}',
                flush=True,
            )
    fn = a.out / 'benchmark_restore.json'
    fn.write_text(json.dumps(record(rows, a, time.time() - start), indent=1) + '\n')
    print(f'Written: {fn.name}')


if __name__ == '__main__':
    main()
