"""The cells of the notebooks, by `nbdev_test`, each notebook in a process of its own: none can see what another has changed.

The lessons are run by test_plain_install.py, as their readers run them.
"""

import json
import signal

import pytest
from project import ROOT, lessons, notebooks

NOTEBOOKS = [nb for nb in notebooks() if nb not in lessons()]
CODE = 'import sys; from nbdev.test import nbdev_test; nbdev_test(path=sys.argv[1], n_workers=0)'


def run(originals, path, printed):
    "The exit status of `nbdev_test`, and what it has printed."
    copy = originals.start(CODE, path, printed=printed, cwd=ROOT)
    return copy.wait(), copy.text()


@pytest.mark.parametrize('nb', NOTEBOOKS, ids=lambda nb: nb.name)
def test_notebook(nb, originals, tmp_path):
    status, text = run(originals, nb.path, tmp_path / 'printed.txt')
    assert status == 0, f'exit status {status}\n{text[-4000:]}'


@pytest.mark.parametrize(
    'cell, ends',
    [('assert 1 + 1 == 3, "a wrong sum"', 1), ('import os; os.kill(os.getpid(), 9)', -signal.SIGKILL)],
    ids=['fails', 'dies'],
)
def test_failures_are_seen(cell, ends, originals, tmp_path):
    "And the next notebook knows nothing of them."
    notebook = tmp_path / '00_wrong.ipynb'
    for source, wanted in ((f'made_here = 1\n{cell}', ends), ('assert "made_here" not in globals()', 0)):
        cells = [dict(cell_type='code', id='one', metadata={}, source=source, outputs=[], execution_count=None)]
        notebook.write_text(json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5)), encoding='utf-8')
        status, text = run(originals, notebook, tmp_path / 'printed.txt')
        assert (status, 'a wrong sum' in text) == (wanted, wanted == 1), text
