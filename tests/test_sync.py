"""What is made from the notebooks is up to date: they are clean, the modules and stubs are what they export,
README.md is the index page."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


def run(*command, cwd):
    env = {**os.environ, 'PYTHONPATH': str(cwd)}
    r = subprocess.run([str(o) for o in command], cwd=cwd, env=env, capture_output=True, text=True, timeout=600)
    assert r.returncode == 0, (r.stdout + r.stderr)[-3000:]
    return r.stdout


def contents(folder: Path, pattern: str) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob(pattern)}


def differing(old: dict[str, bytes], new: dict[str, bytes]) -> list[str]:
    return sorted(k for k in old | new if old.get(k) != new.get(k))


def test_clean(checkout):
    old = contents(checkout / 'nbs', '*.ipynb')
    run(BIN / 'nbdev_clean', cwd=checkout)
    bad = differing(old, contents(checkout / 'nbs', '*.ipynb'))
    assert not bad, f'run nbdev_clean: {bad}'


def test_exported(checkout):
    package = checkout / 'lesson7_lib'
    modules, stubs = contents(package, '*.py'), contents(package, '*.pyi')
    for p in [*package.rglob('*.py'), *package.rglob('*.pyi')]:
        if p.name != '__init__.py':
            p.unlink()
    run(BIN / 'nbdev_export', cwd=checkout)
    bad = differing(modules, contents(package, '*.py'))
    assert not bad, f'run nbdev_export: {bad}'
    run(sys.executable, 'docs/stubs.py', cwd=checkout)
    bad = differing(stubs, contents(package, '*.pyi'))
    assert not bad, f'run python docs/stubs.py: {bad}'


def test_readme(checkout):
    old = (checkout / 'README.md').read_bytes()
    run(sys.executable, 'docs/readme.py', cwd=checkout)
    assert (checkout / 'README.md').read_bytes() == old, 'run python docs/readme.py'


@pytest.mark.parametrize('command', [['format', '--check'], ['check']], ids=lambda o: o[0])
def test_style(command):
    "The formatter and the linter, with the rules of ruff.toml."
    root = Path(__file__).resolve().parent.parent
    places = ['nbs', 'lesson7_lib', 'tests', 'docs', 'benchmarks', 'setup.py']
    r = subprocess.run([str(BIN / 'ruff'), *command, *places], cwd=root, capture_output=True, text=True)
    assert r.returncode == 0, (r.stdout + r.stderr)[-4000:]
