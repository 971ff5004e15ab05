"""Runs notebooks from top to bottom in a real Jupyter kernel, every cell, as JupyterLab does: on a copy, with the quick profile.

    python tests/kernel.py            all notebooks (an hour of one core; the weekly run does it)
    python tests/kernel.py index 01   those whose names begin with one of these words

`tests/run.py` runs the same cells faster, without a kernel. Needs `pip install -e ".[dev]"`; ends with the line `N passed, N failed`.
"""

import os, sys, tempfile, time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from run import ROOT, copy_tree, environment

LIMIT = 1200  # seconds for one cell


def run_notebook(nb):
    "Runs `nb` in its folder and writes nothing: '' or the end of what went wrong."
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, CellTimeoutError

    book = nbformat.read(nb, as_version=4)
    client = NotebookClient(
        book, timeout=LIMIT, kernel_name='python3', resources=dict(metadata=dict(path=str(nb.parent)))
    )
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError) as e:
        return str(e)[-3000:]
    return ''


def main(words):
    failed, done = [], 0
    with tempfile.TemporaryDirectory(prefix='lesson7_kernel_', ignore_cleanup_errors=True) as tmp:
        tmp = Path(tmp).resolve()
        copy = copy_tree(tmp / 'checkout')
        env = environment(tmp, copy)
        os.environ.clear()
        os.environ.update({k: v for k, v in env.items() if k != 'MPLBACKEND'})  # the kernel draws into the notebook
        for nb in sorted((copy / 'nbs').glob('*.ipynb')):
            if nb.name.startswith('_') or (words and not any(nb.name.startswith(o) for o in words)):
                continue
            start, why = time.time(), run_notebook(nb)
            done += 1
            print(
                f'{"FAILED" if why else "ok":8} {time.time() - start:5.1f} s  {nb.stem}'
                + (f'\n{why}\n' if why else ''),
                flush=True,
            )
            if why:
                failed.append(nb.stem)
    print(f'{done - len(failed)} passed, {len(failed)} failed')
    return bool(failed) or not done


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
