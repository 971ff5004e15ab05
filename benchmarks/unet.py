#!/usr/bin/env python3
"""Measure one training step of the U-Nets: ours, fastai's at the same architecture, segmentation_models.pytorch's plain Unet.

Uses the environment of `run.py`, with segmentation_models.pytorch added. Time: all sides in one process, in turn. Memory: each side in a process
of its own. `README.md` tells how to read the table."""
import argparse, gc, json, os, platform, shlex, statistics, subprocess, sys, tempfile, time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
N_CLASSES = 12
#            key          title                                               sides, ours first                 rival    largest ratio allowed
COMPARE = [('unet_step_fp32', 'DynamicUnet(resnet34, blur), a step in fp32',          ('ours', 'fastai'),             1.),
           ('unet_step_cl',   '… with channels_last',                                 ('ours_cl', 'fastai'),          None),
           ('unet_step_bf16', '… in bf16, against fastai in fp32',                    ('ours_bf16', 'fastai'),        .6),
           ('unet_noblur',    'DynamicUnet(resnet34), a step in fp32',                ('ours_noblur', 'fastai_noblur'), None),
           ('unet_fast',      "FastUnet(resnet34), against smp's Unet('resnet34')",   ('fast', 'smp'),                1.5),
           ('unet_memory',    'DynamicUnet(resnet34, blur), peak memory of a step',   ('ours', 'fastai'),             1.),
           ('fast_memory',    'FastUnet(resnet34), peak memory of a step',            ('fast', 'smp'),                None)]


# ---------------------------------------------------------------- the sides
def ours(blur=True):
    from lesson7_lib.unet import DynamicUnet, create_body
    return DynamicUnet(create_body('resnet34', pretrained=False), N_CLASSES, blur=blur)

def fastai(size, blur=True):
    from fastai.vision.learner import create_body
    from fastai.vision.models.unet import DynamicUnet
    from torchvision.models import resnet34
    return DynamicUnet(create_body(resnet34(), pretrained=False), N_CLASSES, (size, size), blur=blur, norm_type=None)

def fast():
    from lesson7_lib.unet import FastUnet, create_body
    return FastUnet(create_body('resnet34', pretrained=False), N_CLASSES)

def smp():
    import segmentation_models_pytorch
    return segmentation_models_pytorch.Unet('resnet34', encoder_weights=None, classes=N_CLASSES)

def make(name, size):
    "A model by the name of its side"
    makes = dict(ours=ours, ours_cl=ours, ours_bf16=ours, ours_noblur=lambda: ours(False), fastai=lambda: fastai(size),
                 fastai_noblur=lambda: fastai(size, False), fast=fast, smp=smp)
    return makes[name]()

def stepper(name, a):
    "A function that makes one training step: forward, cross entropy, backward, fused AdamW"
    import torch, torch.nn.functional as F
    torch.manual_seed(42)
    model = make(name, a.size).train()
    x, y = torch.randn(a.bs, 3, a.size, a.size), torch.randint(0, N_CLASSES, (a.bs, a.size, a.size))
    if name.endswith('_cl'): model, x = model.to(memory_format=torch.channels_last), x.contiguous(memory_format=torch.channels_last)
    opt = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
    def step():
        with torch.autocast('cpu', torch.bfloat16, enabled=name.endswith('bf16')):
            loss = F.cross_entropy(model(x).as_subclass(torch.Tensor).float(), y)
        loss.backward()
        opt.step()
        opt.zero_grad()
    return step, sum(p.numel() for p in model.parameters())


# ---------------------------------------------------------------- measuring (inside the environment)
def measure_time(a):
    "Seconds of a step: the sides take turns, another begins each round, one round is thrown away"
    steps, params = {}, {}
    for k in a.sides: steps[k], params[k] = stepper(k, a)
    res, names = {k: [] for k in steps}, list(steps)
    for r in range(-1, a.rounds):
        for k in names[r%len(names):] + names[:r%len(names)]:
            gc.collect()
            t = time.perf_counter()
            steps[k]()
            if r >= 0: res[k].append(time.perf_counter()-t)
    return dict(seconds=res, params=params)

def peak_bytes():
    "The peak of the resident memory since it was last reset (Linux), or of the whole life of the process"
    import resource
    try: return next(int(l.split()[1])*1024 for l in Path('/proc/self/status').read_text().splitlines() if l.startswith('VmHWM'))
    except (OSError, StopIteration): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss*(1 if sys.platform=='darwin' else 1024)

def measure_memory(a):
    "How far the memory rises in the third step above what model, gradients' buffers and optimiser hold between steps"
    import ctypes
    (name,) = a.sides
    step, params = stepper(name, a)
    for _ in range(2): step()
    gc.collect()
    try: ctypes.CDLL('libc.so.6').malloc_trim(0)
    except (OSError, AttributeError): pass
    try: Path('/proc/self/clear_refs').write_text('5')    # from here on counts the peak
    except OSError: pass
    try: base = int(Path('/proc/self/statm').read_text().split()[1])*os.sysconf('SC_PAGE_SIZE')
    except OSError: base = 0
    step()
    return dict(bytes=peak_bytes()-base, peak=peak_bytes(), params=params)

def inside(a):
    "What runs in the environment's Python"
    import torch
    torch.set_num_threads(a.threads)
    res = measure_memory(a) if a.inside=='memory' else measure_time(a)
    cpu = torch.backends.cpu.get_cpu_capability()
    is_bf16 = getattr(torch.cpu, '_is_avx512_bf16_supported', lambda: False)() or getattr(torch.cpu, '_is_amx_tile_supported', lambda: False)()
    Path(a.to).write_text(json.dumps(dict(res, capability=cpu, bf16_hardware=bool(is_bf16))))


# ---------------------------------------------------------------- outside
class Bench:
    def __init__(self, a, python): self.a, self.python = a, python

    def call(self, kind, sides):
        "One process in the environment"
        a = self.a
        with tempfile.TemporaryDirectory() as d:
            cmd = [self.python, Path(__file__).resolve(), '--inside', kind, '--to', Path(d)/'res.json', '--sides', ','.join(sides)]
            for k in ('threads', 'rounds', 'size', 'bs'): cmd += [f'--{k}', getattr(a, k)]
            env = {k: v for k, v in os.environ.items() if k not in ('PYTHONPATH', 'OMP_NUM_THREADS', 'MKL_NUM_THREADS')}
            env.update(CUDA_VISIBLE_DEVICES='', OMP_NUM_THREADS=str(a.threads), PYTHONWARNINGS='ignore', MPLBACKEND='agg', CI='1')
            r = subprocess.run([str(o) for o in cmd], env=env, capture_output=True, text=True, cwd=d)
            if r.returncode: raise SystemExit(f'{kind} of {", ".join(sides)} failed:\n{r.stderr[-3000:]}')
            return json.loads((Path(d)/'res.json').read_text())

def rows_of(times, memory, a):
    "One row for each comparison"
    from run import middle
    rows = []
    for key, title, (mine, other), limit in COMPARE:
        src = {k: v['bytes'] for k, v in memory.items()} if 'memory' in key else times['seconds']
        if mine not in src or other not in src: continue
        pairs = [[v] if isinstance(v, (int, float)) else v for v in (src[mine], src[other])]
        row = dict(key=key, title=title, ours=statistics.median(pairs[0]), rival=other, theirs=statistics.median(pairs[1]),
                   ratio=middle([x/y for x, y in zip(*pairs)]), unit='bytes' if 'memory' in key else 's', raw=pairs)
        note = "no bf16 hardware: it is emulated" if key=='unet_step_bf16' and not times['bf16_hardware'] else ''
        if limit is not None and not note: row['target'] = dict(rival=other, limit=limit, met=row['ratio']['median']<=limit)
        rows.append(dict(row, note=note))
    return rows

def table(rows):
    "The rows as text"
    from run import human
    def val(v, u): return f'{v/2**20:.0f} MiB' if u=='bytes' else human(v)
    out = [['what', 'ours', 'theirs', 'ours / theirs', 'target', '']]
    for r in rows:
        t, q = r.get('target'), r['ratio']
        out.append([r['title'], val(r['ours'], r['unit']), val(r['theirs'], r['unit']), '{median:.2f} ({low:.2f}-{high:.2f})'.format(**q),
                    f"<= {t['limit']}" if t else '', r['note'] or (('ok' if t['met'] else 'MISSED') if t else '')])
    wide = [max(map(len, c)) for c in zip(*out)]
    lines = ['  '.join(c.ljust(w) for c, w in zip(r, wide)).rstrip() for r in out]
    return '\n'.join([lines[0], '  '.join('-'*w for w in wide), *lines[1:]])

def add_smp(python):
    "segmentation_models.pytorch in the environment, once"
    from run import pip, say
    if subprocess.run([python, '-c', 'import segmentation_models_pytorch'], capture_output=True).returncode:
        say('Installing segmentation_models.pytorch …')
        pip(python, 'segmentation-models-pytorch')

def versions(python):
    code = ("import importlib.metadata as m, json, sys; print(json.dumps({o: m.version(o) for o in ('torch','torchvision','fastai',"
            "'segmentation_models_pytorch','lesson7_lib')} | dict(python=sys.version.split()[0])))")
    return json.loads(subprocess.run([python, '-c', code], capture_output=True, text=True, check=True, cwd=tempfile.gettempdir()).stdout)

def main():
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument('--quick', action='store_true', help='small pictures and few rounds: a look, not a figure to quote')
    p.add_argument('--out', type=Path, default=HERE.parent/'results', help="folder for benchmark_02.json (default: the checkout's results/)")
    p.add_argument('--cache', type=Path, default=Path(os.environ.get('LESSON7_CACHE', Path.home()/'.lesson7'))/'benchmark',
                   help="folder for the environment (default: benchmark/ in the library's cache)")
    p.add_argument('--python', default=None, help='a Python that has fastai, torch and smp, used instead of making an environment')
    p.add_argument('--threads', type=int, default=2, help='torch threads (default: 2)')
    p.add_argument('--rounds', type=int, default=None, help='rounds (default: 9; quick: 3)')
    p.add_argument('--size', type=int, default=None, help='pictures of size×size (default: 128; quick: 64)')
    p.add_argument('--bs', type=int, default=None, help='pictures in a batch (default: 8; quick: 2)')
    p.add_argument('--sides', default=None, type=lambda s: s.split(','), help='some of the sides (default: all)')
    p.add_argument('--check', action='store_true', help='exit with 1 if a target is missed')
    p.add_argument('--inside', choices=('time', 'memory'), help=argparse.SUPPRESS)
    p.add_argument('--to', help=argparse.SUPPRESS)
    a = p.parse_args()
    rounds, size, bs = (3, 64, 2) if a.quick else (9, 128, 8)
    a.rounds, a.size, a.bs = a.rounds or rounds, a.size or size, a.bs or bs
    if a.inside: return inside(a)
    from run import make_env, say
    start, a.cache = time.time(), a.cache.resolve()
    a.cache.mkdir(parents=True, exist_ok=True)
    bench = Bench(a, str(make_env(a.cache, a.python)))
    add_smp(bench.python)
    sides = a.sides or ['ours', 'fastai', 'ours_cl', 'ours_bf16', 'ours_noblur', 'fastai_noblur', 'fast', 'smp']
    say('Steps …')
    times = bench.call('time', sides)
    say('Memory …')
    memory = {k: bench.call('memory', [k]) for k in ('ours', 'fastai', 'fast', 'smp') if k in sides}
    if {'ours', 'fastai'} <= times['params'].keys() and times['params']['ours'] != times['params']['fastai']:
        raise SystemExit(f"not the same architecture: {times['params']}")
    rows = rows_of(times, memory, a)
    met = [r['target']['met'] for r in rows if 'target' in r]
    load = os.getloadavg()[0] if hasattr(os, 'getloadavg') else None
    info = Path('/proc/cpuinfo').read_text() if Path('/proc/cpuinfo').exists() else ''
    cpu = next((l.split(':', 1)[1].strip() for l in info.splitlines() if l.startswith('model name')), platform.processor())
    words = [Path(o).name if os.path.isabs(o) else o for o in sys.argv[1:]]
    rec = dict(lesson='benchmark', metric='02', value=sum(met), unit=f'of {len(met)} targets met', date=time.strftime('%Y-%m-%d'), device='cpu',
               cpu=cpu, capability=times['capability'], bf16_hardware=times['bf16_hardware'], cores=os.cpu_count(), threads=a.threads, load_at_end=load,
               seconds=time.time()-start, size=a.size, bs=a.bs, rounds=a.rounds, quick=a.quick, versions=versions(bench.python),
               sizes=times['params'], command=shlex.join(['python', 'benchmarks/unet.py', *words]), rows=rows)
    a.out.mkdir(parents=True, exist_ok=True)
    fn = a.out/'benchmark_02.json'
    fn.write_text(json.dumps(rec, indent=1)+'\n')
    print(table(rows))
    print(f"\nRatios: median (quartiles) over {a.rounds} rounds, below 1 means that ours is faster or smaller. {a.bs} pictures of {a.size}×{a.size}, "
          f'{a.threads} thread(s), {times["capability"]}.')
    if load and load > 3: print(f'The machine was busy (load {load:.1f}): measure again when it is quiet.')
    print(f'Written: {fn.name} ({rec["seconds"]/60:.1f} min)')
    if a.check and not all(met): raise SystemExit('Missed: ' + '; '.join(r['title'] for r in rows if 'target' in r and not r['target']['met']))

if __name__ == '__main__': main()
