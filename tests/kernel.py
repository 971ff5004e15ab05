"""Runs notebooks from top to bottom in a real Jupyter kernel, every cell, as JupyterLab does, with the quick profile.

    pytest tests/kernel.py                      all notebooks (an hour of one core; the weekly run does it)
    pytest tests/kernel.py -k "index or 01_"    those with such a name

`nbdev_test` runs the same cells faster, without a kernel.
"""

import nbformat
import pytest
from nbclient import NotebookClient
from project import ROOT

NOTEBOOKS = sorted(p for p in (ROOT / 'nbs').rglob('*.ipynb') if not p.name.startswith('_'))
LIMIT = 1200  # seconds for one cell


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook(path, monkeypatch):
    monkeypatch.delenv('MPLBACKEND', raising=False)  # the kernel draws into the notebook
    book = nbformat.read(path, as_version=4)
    resources = {'metadata': {'path': str(path.parent)}}
    NotebookClient(book, timeout=LIMIT, kernel_name='python3', resources=resources).execute()
