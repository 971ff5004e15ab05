"""Environments such as `pip install` makes, put together without the internet: a package and what it needs is linked
from the environment of the tests."""

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement


def sh(*command, **kwargs) -> str:
    "Standard output of a command that must succeed."
    r = subprocess.run([str(o) for o in command], capture_output=True, text=True, **{'timeout': 600, **kwargs})
    assert r.returncode == 0, (r.stdout + r.stderr)[-4000:]
    return r.stdout


def outside() -> dict[str, str]:
    "The environment variables of a process that must not see the checkout."
    return {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}


def requirements(dist: metadata.Distribution, extras: set[str] = frozenset()) -> list[Requirement]:
    "What a distribution needs here, with the extras that were asked for."
    parsed = [Requirement(o) for o in dist.requires or []]
    asked = [{'extra': o} for o in ('', *extras)]
    return [o for o in parsed if o.marker is None or any(o.marker.evaluate(e) for e in asked)]


def collect(req: Requirement, found: dict[tuple, metadata.Distribution]) -> None:
    "Collect the installed distributions that a requirement brings along."
    key = (req.name.lower().replace('_', '-'), *sorted(req.extras))
    if key in found:
        return
    try:
        found[key] = metadata.distribution(req.name)
    except metadata.PackageNotFoundError:
        return
    for o in requirements(found[key], req.extras):
        collect(o, found)


def make_wheel(checkout: Path, folder: Path) -> Path:
    "The wheel of a checkout."
    options = ['-q', '--no-deps', '--no-build-isolation']
    sh(sys.executable, '-m', 'pip', 'wheel', *options, '-w', folder, checkout)
    return next(folder.glob('lesson7_lib-*.whl'))


def make_environment(wheel: Path, folder: Path, *more: str) -> Path:
    "A new environment with the wheel, the distributions named in `more`, and what all of them need; its interpreter."
    sh(sys.executable, '-m', 'venv', '--without-pip', folder)
    python = next(p for p in (folder / 'bin/python', folder / 'Scripts/python.exe') if p.exists())
    site = Path(sh(python, '-c', 'import sysconfig; print(sysconfig.get_paths()["purelib"])').strip())
    sh(sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', '--no-index', '--target', site, wheel)
    own = metadata.Distribution.at(next(site.glob('lesson7_lib-*.dist-info')))
    found: dict[tuple, metadata.Distribution] = {}
    for req in (*requirements(own), *map(Requirement, more)):
        collect(req, found)
    for dist in found.values():
        for top in {f.parts[0] for f in dist.files or [] if f.parts[0] not in ('..', '__pycache__')}:
            source, to = Path(dist.locate_file(top)), site / top
            if source.exists() and not to.exists():
                to.symlink_to(source)
    return python


def installed_command(python: Path, name: str) -> Path:
    "A command that came with a package of the environment; to be run by its interpreter."
    site = Path(sh(python, '-c', 'import sysconfig; print(sysconfig.get_paths()["purelib"])').strip())
    return next(p / name for p in (python.parent, site / 'bin') if (p / name).exists())
