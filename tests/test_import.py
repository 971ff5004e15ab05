"What can only be seen in a fresh interpreter: what an import brings along, and how long it takes."

import json, os, statistics, subprocess, sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {'torchvision', 'matplotlib', 'pandas', 'scipy', 'IPython', 'nbdev', 'fastai'}
PICTURELESS = (
    'env',
    'fetch',
    'keep',
    'metrics',
    'hooks',
    'optimizer',
    'items',
    'learner',
    'house',
    'results',
    'synth',
    'synth_pets',
    'synth_rooms',
    'augment',
)


def python(code):
    "Standard output of `code` in a fresh interpreter."
    env = {**os.environ, 'PYTHONPATH': str(ROOT) + os.pathsep + os.environ.get('PYTHONPATH', '')}
    r = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT, env=env)
    assert r.returncode == 0, r.stderr
    return r.stdout


def heavy(names):
    "Which heavy packages are loaded after importing these rooms."
    code = f'import sys, json, {", ".join("lesson7_lib." + o for o in names)}; print(json.dumps([o.split(".")[0] for o in sys.modules]))'
    return sorted(HEAVY & set(json.loads(python(code).splitlines()[-1])))


def test_pictureless():
    "A module that shows no pictures imports neither torchvision nor matplotlib."
    if heavy(PICTURELESS):  # all at once costs one interpreter; one by one only to name the guilty
        bad = {o: h for o in PICTURELESS if (h := heavy([o]))}
        raise AssertionError(f'modules that bring heavy imports along: {bad}')


def test_quiet():
    "An import prints nothing."
    assert python('import lesson7_lib, lesson7_lib.all') == ''


def test_star():
    "The star import gives what the lecture takes for granted, and no private names."
    names = set(json.loads(python('import json; from lesson7_lib.all import *; print(json.dumps(sorted(globals())))')))
    want = set(
        'torch nn F optim np plt PIL Path partial random gc math models children requires_grad imagenet_stats untar_data URLs defaults ImageItemList ImageList Learner '
        'accuracy Flatten conv_layer res_block SequentialEx MergeLayer NormType rand_pad get_transforms plot_multi show_image open_image DatasetType DataBunch '
        'Hook hook_output parallel set_seed'.split()
    )
    assert want <= names, f'missing: {sorted(want - names)}'


def test_time():
    "`import lesson7_lib.all` costs little more than torch, torchvision and matplotlib.pyplot by themselves (processor time, so that a busy machine does not disturb)."

    def once(what):
        t = os.times()
        python(what)
        u = os.times()
        return u.children_user + u.children_system - t.children_user - t.children_system

    bare, ours = 'import torch, torchvision, matplotlib.pyplot', 'import lesson7_lib.all'
    once(bare), once(ours)  # files into memory
    pairs = [(once(bare), once(ours)) for _ in range(3)]
    ratio = statistics.median(b / a for a, b in pairs)
    print(f'import ratio {ratio:.2f} (bare {statistics.median(a for a, _ in pairs):.2f} s of processor time)')
    assert ratio < 1.15, f'{ratio:.2f}: the limit is 1.1, with a little leeway'


if __name__ == '__main__':
    for k, f in list(globals().items()):
        if k.startswith('test_'):
            f()
            print('ok', k)
