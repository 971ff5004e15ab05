"""The cells of every notebook, by `nbdev_test`, each notebook in a process of its own: none can see what another has changed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from project import ROOT

PATHS = sorted(p for p in (ROOT / 'nbs').rglob('[0-9]*_*.ipynb') if '.ipynb_checkpoints' not in p.parts)
LIMIT = 900  # seconds for one notebook


@pytest.mark.parametrize('path', PATHS, ids=lambda p: p.relative_to(ROOT / 'nbs').with_suffix('').as_posix())
def test_notebook(path):
    command = [str(Path(sys.executable).parent / 'nbdev_test'), '--path', str(path), '--n_workers', '1']
    r = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=LIMIT)
    assert r.returncode == 0, (r.stdout + r.stderr)[-4000:]
