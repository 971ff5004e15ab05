"""The wheel in a bare environment: it runs without notebooks and development tools, and holds none of them."""

import os
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement


def sh(*command, **kwargs) -> str:
    r = subprocess.run([str(o) for o in command], capture_output=True, text=True, timeout=600, **kwargs)
    assert r.returncode == 0, (r.stdout + r.stderr)[-3000:]
    return r.stdout


def needed_by(name: str, found: dict[str, metadata.Distribution]) -> None:
    "The installed distributions that `name` needs to run, itself included."
    key = name.lower().replace('_', '-')
    if key in found:
        return
    try:
        found[key] = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return
    for req in map(Requirement, found[key].requires or []):
        if req.marker is None or req.marker.evaluate({'extra': ''}):
            needed_by(req.name, found)


@pytest.fixture
def wheel(checkout, tmp_path) -> Path:
    sh(
        sys.executable,
        '-m',
        'pip',
        'wheel',
        '-q',
        '--no-deps',
        '--no-build-isolation',
        '-w',
        tmp_path / 'wheel',
        checkout,
    )
    return next((tmp_path / 'wheel').glob('lesson7_lib-*.whl'))


def bare_python(wheel: Path, tmp_path: Path) -> Path:
    "An environment with the wheel and what it requires (linked, not downloaded), and nothing else."
    sh(sys.executable, '-m', 'venv', '--without-pip', tmp_path / 'bare')
    python = next(p for p in (tmp_path / 'bare/bin/python', tmp_path / 'bare/Scripts/python.exe') if p.exists())
    site = Path(sh(python, '-c', 'import sysconfig; print(sysconfig.get_paths()["purelib"])').strip())
    sh(sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', '--no-index', '--target', site, wheel)
    own = metadata.Distribution.at(next(site.glob('lesson7_lib-*.dist-info')))
    found: dict[str, metadata.Distribution] = {}
    for req in map(Requirement, own.requires or []):
        if req.marker is None or req.marker.evaluate({'extra': ''}):
            needed_by(req.name, found)
    for dist in found.values():
        for top in {f.parts[0] for f in dist.files or [] if f.parts[0] not in ('..', '__pycache__')}:
            source, to = Path(dist.locate_file(top)), site / top
            if source.exists() and not to.exists():
                to.symlink_to(source)
    return python


def test_contents(wheel):
    "Modules, stubs and the mark that there are types; no builder, no tests, no notebooks."
    names = zipfile.ZipFile(wheel).namelist()
    assert 'lesson7_lib/py.typed' in names and 'lesson7_lib/core/learner.pyi' in names
    outside = [n for n in names if not n.startswith(('lesson7_lib/', 'lesson7_lib-'))]
    assert not outside, outside
    source = '\n'.join(
        zipfile.ZipFile(wheel).read(n).decode() for n in names if n.endswith('.py') and '_modidx' not in n
    )
    for tool in ('import nbdev', 'from nbdev', 'import execnb', 'import nbformat', 'import sphinx', 'import pytest'):
        assert tool not in source, tool


def test_runs_bare(wheel, tmp_path):
    python = bare_python(wheel, tmp_path)
    code = (
        'from importlib.util import find_spec; from importlib.metadata import entry_points\n'
        'import lesson7_lib, lesson7_lib.all\n'
        'assert "bare" in lesson7_lib.__file__, lesson7_lib.__file__\n'
        'there = [o for o in ("nbdev", "execnb", "nbconvert", "ghapi", "pytest") if find_spec(o)]; assert not there, there\n'
        'from lesson7_lib.core.results import find_checkout, results_table\n'
        'assert find_checkout() is None and "no results" in str(results_table())\n'
        'ours = [e for e in entry_points(group="console_scripts") if e.name.startswith("lesson7_")]\n'
        'assert len(ours) == 5 and all(callable(e.load()) for e in ours), ours\n'
    )
    env = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    sh(python, '-c', code, cwd=tmp_path, env=env)
    for command in ('demo', 'restore', 'crappify', 'train_restorer', 'experiment'):
        sh(python, '-c', ENTRY.format(command), '--help', cwd=tmp_path, env=env)


ENTRY = (
    'import sys; from importlib.metadata import entry_points\n'
    'e, = [e for e in entry_points(group="console_scripts") if e.name == "lesson7_{}"]\n'
    'sys.exit(e.load()())'
)
