"What can only be seen in a fresh interpreter: what an import brings along, what it changes, and how long it takes."

import json
import statistics
import subprocess
import sys
from pathlib import Path

from project import notebooks

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {'torchvision', 'matplotlib', 'pandas', 'scipy', 'IPython', 'nbdev', 'fastai'}


def python(code: str) -> str:
    "Standard output of `code` in a fresh interpreter."
    r = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=ROOT)
    assert r.returncode == 0, r.stderr
    return r.stdout


def heavy(modules: list[str]) -> list[str]:
    "Which heavy packages are loaded after importing these modules."
    names = ', '.join('lesson7_lib.' + o for o in modules)
    code = f'import sys, json, {names}; print(json.dumps([o.split(".")[0] for o in sys.modules]))'
    return sorted(HEAVY & set(json.loads(python(code).splitlines()[-1])))


def test_core_is_light():
    "The core, the texts and the transforms import neither torchvision nor matplotlib."
    light = [nb.module for nb in notebooks() if nb.folder in ('core', 'text')] + ['vision.transforms']
    if heavy(light):  # all at once costs one interpreter; one by one only to name the guilty
        bad = {o: h for o in light if (h := heavy([o]))}
        raise AssertionError(f'modules that bring heavy imports along: {bad}')


def test_star():
    "The star import prints nothing, gives what the lecture takes for granted, and no private names."
    code = 'from lesson7_lib.all import *; import json; print(json.dumps(sorted(globals())))'
    names = set(json.loads(python(code)))  # nothing but the names was printed
    want = (
        'torch nn F optim np plt PIL Path partial random gc math models children requires_grad imagenet_stats untar_data URLs '
        'defaults ImageItemList ImageList Learner accuracy Flatten conv_layer res_block SequentialEx MergeLayer NormType '
        'rand_pad get_transforms plot_multi show_image open_image DatasetType DataBunch Hook hook_output parallel set_seed'
    )
    assert set(want.split()) <= names, f'missing: {sorted(set(want.split()) - names)}'


def test_other_modules_change_nothing():
    "Importing all modules but `all` leaves PyTorch's and torchvision's functions as they were."
    modules = ', '.join('lesson7_lib.' + nb.module for nb in notebooks() if nb.module != 'all')
    code = (
        'import torch, torchvision.models as tm\n'
        'before = torch.Tensor.cuda, torch.nn.Module.cuda, tm.vgg16_bn\n'
        f'import {modules}\n'
        'print(before == (torch.Tensor.cuda, torch.nn.Module.cuda, tm.vgg16_bn))'
    )
    assert python(code).strip() == 'True'


def test_time():
    """`import lesson7_lib.all` costs at most a tenth more than torch, torchvision and matplotlib.pyplot
    (processor time): the two parts of one start, measured three times at most."""
    code = (
        'import time\n'
        'start = time.process_time(); import torch, torchvision, matplotlib.pyplot\n'
        'bare = time.process_time(); import lesson7_lib.all\n'
        'print((time.process_time() - start) / (bare - start))'
    )
    ratios = [float(python(code))]
    if ratios[0] >= 1.15:
        ratios += [float(python(code)) for _ in range(2)]
    ratio = statistics.median(ratios)
    print(f'import ratio {ratio:.2f}')
    assert ratio < 1.15, f'{ratio:.2f}: the limit is 1.1, and 0.05 for what differs from run to run'


def test_star_import_of_a_package_binds_no_modules():
    "`progress` and `parallel` are functions, and modules of the same name hold them."
    code = (
        'from lesson7_lib.all import *\n'
        'from lesson7_lib.core import *\n'
        'from lesson7_lib.vision import *\n'
        'from lesson7_lib.text import *\n'
        'from lesson7_lib.synth import *\n'
        'from lesson7_lib.apps import *\n'
        'print(*[callable(o) for o in (generate, progress, parallel, restore)])'
    )
    assert python(code).split() == ['True'] * 4
