"""Every lesson as its readers run it: after `pip install .` and `pip install jupyterlab`, in a copy outside the checkout,
from top to bottom in a Jupyter kernel, with the quick profile.

    pytest tests/test_plain_install.py -k 02_unet
    pytest tests/test_plain_install.py --reader-python .venv/bin/python     # an environment made by hand
"""

import json
import shutil

import pytest
from environments import outside, sh
from project import ROOT, lessons

LIMIT = 900  # seconds for one cell


@pytest.fixture(scope='session')
def copied(tmp_path_factory):
    "The notebooks, copied to where no checkout is."
    leave = shutil.ignore_patterns('.ipynb_checkpoints', 'models')
    return shutil.copytree(ROOT / 'nbs', tmp_path_factory.mktemp('reader') / 'nbs', ignore=leave)


@pytest.fixture(scope='session')
def reader(copied, reader_python):
    "Runs a command of the reader's environment beside the copied notebooks, with Jupyter's own settings."
    env = {k: v for k, v in outside().items() if k not in ('MPLBACKEND', 'CI')}
    for name in ('JUPYTER_CONFIG_DIR', 'JUPYTER_DATA_DIR', 'IPYTHONDIR'):
        env[name] = str(copied.parent / name.lower())
    return lambda *command, **kwargs: sh(reader_python, *command, cwd=copied, env=env, **kwargs)


def test_environment(reader):
    "What the reader has: the library, from outside the checkout, and Jupyter; no tool of the maintainers."
    code = (
        'import json, lesson7_lib; from importlib.util import find_spec\n'
        'tools = [o for o in ("nbdev", "execnb", "ghapi", "pytest", "sphinx") if find_spec(o)]\n'
        'print(json.dumps([lesson7_lib.__file__, find_spec("ipykernel") is not None, tools]))'
    )
    file, kernel, tools = json.loads(reader('-c', code).splitlines()[-1])
    assert str(ROOT) not in file and kernel and not tools, (file, kernel, tools)


@pytest.mark.parametrize('nb', lessons(), ids=lambda nb: nb.name)
def test_lesson(nb, reader, tmp_path):
    "It runs to its end, and what it leaves in the file shows no bar and no error."
    options = ['--to', 'notebook', '--execute', f'--ExecutePreprocessor.timeout={LIMIT}', '--output-dir', tmp_path]
    reader('-m', 'nbconvert', *options, f'{nb.name}.ipynb', timeout=2 * LIMIT)
    cells = json.loads((tmp_path / f'{nb.name}.ipynb').read_text(encoding='utf-8'))['cells']
    code = [c for c in cells if c['cell_type'] == 'code' and ''.join(c['source']).strip()]
    assert len(code) > 20 and all(c['execution_count'] for c in code), 'cells that did not run'
    shown = json.dumps([c['outputs'] for c in code])
    assert '"output_type": "error"' not in shown and '\\u2588' not in shown
