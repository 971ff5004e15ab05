"""The environment of the tests: built-in data in a fresh cache, one thread, no window, no internet, whatever the
shell says.

`pytest --real-data tests/real_data.py` leaves `LESSON7_MIRROR` and `LESSON7_CACHE`: these checks are about the real
data.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
sys.path.insert(0, str(TESTS))
DEAD = 'http://127.0.0.1:9'  # nothing listens there: a download fails at once


def pytest_addoption(parser):
    parser.addoption('--real-data', action='store_true', help='leave LESSON7_MIRROR and LESSON7_CACHE of the shell')
    parser.addoption('--reader-python', metavar='FILE', help='an interpreter that has the library and JupyterLab')


def pytest_configure(config):
    "Before anything is imported, so that child processes get it too."
    os.environ.update(MPLBACKEND='agg', OMP_NUM_THREADS='1')  # two workers on two cores
    root = str(TESTS.parent)
    if root not in os.environ.get('PYTHONPATH', '').split(os.pathsep):
        os.environ['PYTHONPATH'] = os.pathsep.join(filter(None, [root, os.environ.get('PYTHONPATH')]))
    sys.path.insert(0, root)
    if config.getoption('--real-data'):
        return
    for name in ('LESSON7_MIRROR', 'LESSON7_FULL', 'IN_TEST'):
        os.environ.pop(name, None)
    if 'LESSON7_TEST_CACHE' not in os.environ:  # a worker has that of the process which started it
        os.environ['LESSON7_TEST_CACHE'] = config.made_cache = tempfile.mkdtemp(prefix='lesson7_tests_')
    os.environ['LESSON7_CACHE'] = os.environ['LESSON7_TEST_CACHE']
    for name in ('http_proxy', 'https_proxy', 'HTTP_PROXY', 'HTTPS_PROXY'):
        os.environ[name] = DEAD
    os.environ['no_proxy'] = os.environ['NO_PROXY'] = '127.0.0.1,localhost'


def pytest_unconfigure(config):
    "The cache of this run goes, once, with the process that made it."
    if hasattr(config, 'made_cache'):
        shutil.rmtree(config.made_cache, ignore_errors=True)


# what takes longest, longest first: begun last, one of them would go on alone while the other worker has nothing to do
LONGEST = (
    'test_site.py::',
    'test_plain_install.py::test_lesson',
    'test_demo.py::test_whole_run',
    'test_notebooks.py::test_notebook[synth',
    'test_notebooks.py::test_notebook[apps',
    'test_import.py::',
    'test_live.py::',  # by then test_site has exported the networks
    'test_notebooks.py::',
    'test_resume.py::',
)


def pytest_collection_modifyitems(items):
    "Long tests come first, so that the workers end together (`--maxschedchunk 1` hands them out one by one)."

    def rank(item):
        return next((i for i, o in enumerate(LONGEST) if o in item.nodeid), len(LONGEST))

    items.sort(key=rank)


def copy_checkout(to: Path) -> Path:
    "A copy of the files that belong to the project."
    root = TESTS.parent
    out = subprocess.run(['git', '-C', str(root), 'ls-files', '-co', '--exclude-standard', '-z'], capture_output=True)
    if out.returncode:
        leave = shutil.ignore_patterns('.venv*', '_docs', '_proc', 'build', 'dist', '__pycache__', '*.egg-info')
        return Path(shutil.copytree(root, to, ignore=leave, symlinks=True))
    for name in filter(None, out.stdout.decode().split('\0')):
        if (root / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(root / name, to / name)
    return to


@pytest.fixture(scope='session')
def originals():
    "Starts scripts in processes that need not load PyTorch again."
    from copies import Originals

    originals = Originals()
    yield originals
    originals.close()


@pytest.fixture
def checkout(tmp_path):
    "A copy of the checkout, for a test that changes some of its files."
    return copy_checkout(tmp_path / 'checkout')


@pytest.fixture(scope='session')
def wheel(tmp_path_factory):
    "The wheel of this checkout."
    from environments import make_wheel

    folder = tmp_path_factory.mktemp('wheel')
    return make_wheel(copy_checkout(folder / 'checkout'), folder)


@pytest.fixture(scope='session')
def reader_python(request, tmp_path_factory):
    """The interpreter of a reader: `pip install .` and `pip install jupyterlab`, and nothing else. Without
    `--reader-python` the environment is put together from packages that the tests have, without the internet."""
    from environments import make_environment

    given = request.config.getoption('--reader-python')
    if given:
        return Path(given).absolute()
    folder = tmp_path_factory.mktemp('reader')
    return make_environment(request.getfixturevalue('wheel'), folder / 'venv', 'nbconvert', 'ipykernel')
