"""The cells of the notebooks, by `nbdev_test`, each notebook in a process of its own: none can see what another has changed.

The lessons are run by test_plain_install.py, as their readers run them.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT, lessons, notebooks

NOTEBOOKS = [nb for nb in notebooks() if nb not in lessons()]
LIMIT = 900  # seconds for one notebook


@pytest.mark.parametrize('nb', NOTEBOOKS, ids=lambda nb: nb.name)
def test_notebook(nb):
    command = [str(Path(sys.executable).parent / 'nbdev_test'), '--path', str(nb.path), '--n_workers', '1']
    r = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=LIMIT)
    assert r.returncode == 0, (r.stdout + r.stderr)[-4000:]
