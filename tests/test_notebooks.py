"""The cells of the notebooks, by `nbdev_test`, each notebook in a process of its own: none can see what another has changed.

The lessons are run by test_plain_install.py, as their readers run them.
"""

import json
import signal

import pytest
from notebook_server import NotebookServer
from project import lessons, notebooks

NOTEBOOKS = [nb for nb in notebooks() if nb not in lessons()]
LIMIT = 900  # seconds for one notebook


@pytest.fixture(scope='session')
def server():
    server = NotebookServer()
    yield server
    server.close()


@pytest.mark.parametrize('nb', NOTEBOOKS, ids=lambda nb: nb.name)
def test_notebook(nb, server, tmp_path):
    printed = tmp_path / 'printed.txt'
    status = server.run(nb.path, printed, LIMIT)
    assert status == 0, f'exit status {status}\n{printed.read_text(encoding="utf-8", errors="replace")[-4000:]}'


@pytest.mark.parametrize(
    'cell, ends',
    [('assert 1 + 1 == 3, "a wrong sum"', 1), ('import os; os.kill(os.getpid(), 9)', -signal.SIGKILL)],
    ids=['fails', 'dies'],
)
def test_failures_are_seen(cell, ends, server, tmp_path):
    "And the next notebook knows nothing of them."
    notebook, printed = tmp_path / '00_wrong.ipynb', tmp_path / 'printed.txt'
    for source, status in ((f'made_here = 1\n{cell}', ends), ('assert "made_here" not in globals()', 0)):
        cells = [dict(cell_type='code', id='one', metadata={}, source=source, outputs=[], execution_count=None)]
        notebook.write_text(json.dumps(dict(cells=cells, metadata={}, nbformat=4, nbformat_minor=5)), encoding='utf-8')
        assert server.run(notebook, printed, LIMIT) == status
        assert ('a wrong sum' in printed.read_text(encoding='utf-8')) == (status == 1)
