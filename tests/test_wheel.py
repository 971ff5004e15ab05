"The wheel in a bare environment: it runs without notebooks and development tools, and holds none of them."

import zipfile

from environments import make_environment, outside, sh
from project import PACKAGE, ROOT

HELP = """
import sys
from importlib.metadata import entry_points

for command in ('demo', 'restore', 'crappify', 'train_restorer', 'experiment', 'table', 'classify'):
    (entry,) = [e for e in entry_points(group='console_scripts') if e.name == f'lesson7_{command}']
    sys.argv = [command, '--help']
    try:
        status = entry.load()()
    except SystemExit as e:
        status = e.code
    assert not status, (command, status)
"""


def test_contents(wheel):
    "Modules, stubs and the mark that there are types; no builder, no tests, no notebooks."
    names = zipfile.ZipFile(wheel).namelist()
    assert 'lesson7_lib/py.typed' in names and 'lesson7_lib/core/learner.pyi' in names
    outside_names = [n for n in names if not n.startswith(('lesson7_lib/', 'lesson7_lib-'))]
    assert not outside_names, outside_names
    source = '\n'.join(
        zipfile.ZipFile(wheel).read(n).decode() for n in names if n.endswith('.py') and '_modidx' not in n
    )
    for tool in ('import nbdev', 'from nbdev', 'import execnb', 'import nbformat', 'import sphinx', 'import pytest'):
        assert tool not in source, tool


def test_weights(wheel):
    "The ready-made restorers are in the wheel, each with weights, description and model card."
    names = zipfile.ZipFile(wheel).namelist()
    there = sorted(o.relative_to(ROOT).as_posix() for o in (PACKAGE / 'weights').rglob('*') if o.is_file())
    assert sorted(o for o in names if o.startswith('lesson7_lib/weights/')) == there


def test_runs_bare(wheel, tmp_path):
    python = make_environment(wheel, tmp_path / 'bare')
    code = (
        'from importlib.util import find_spec; from importlib.metadata import entry_points\n'
        'import lesson7_lib, lesson7_lib.all\n'
        'assert "bare" in lesson7_lib.__file__, lesson7_lib.__file__\n'
        'there = [o for o in ("nbdev", "execnb", "nbconvert", "ghapi", "pytest") if find_spec(o)]; assert not there, there\n'
        'from lesson7_lib.core.results import find_checkout, results_table\n'
        'assert find_checkout() is None and "no results" in str(results_table())\n'
        'ours = [e for e in entry_points(group="console_scripts") if e.name.startswith("lesson7_")]\n'
        'assert len(ours) == 7 and all(callable(e.load()) for e in ours), ours\n'
    )
    sh(python, '-c', code, cwd=tmp_path, env=outside())
    assert sh(python, '-c', HELP, cwd=tmp_path, env=outside()).count('usage: ') == 7
