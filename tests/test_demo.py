"The demo as its users meet it: as a process of its own, without terminal, notebook or display."

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from environments import installed_command, outside

ROOT = Path(__file__).resolve().parent.parent


def demo(*args, cwd, code='import sys; from lesson7_lib.apps.demo import demo_main as main; sys.exit(main())', **more):
    "Runs `lesson7_demo` in `cwd`; (status, standard output, standard error)."
    env = {**os.environ, 'PYTHONPATH': str(ROOT) + os.pathsep + os.environ.get('PYTHONPATH', ''), **more}
    env = {k: v for k, v in env.items() if k not in ('DISPLAY', 'MPLBACKEND', 'IN_TEST')}
    r = subprocess.run(
        [sys.executable, '-c', code, *args], cwd=cwd, env=env, capture_output=True, text=True, timeout=600
    )
    return r.returncode, r.stdout, r.stderr


def test_help_is_quick():
    "`--help` and wrong options answer without loading PyTorch."
    code = 'import sys; from lesson7_lib.apps.demo import demo_main as main\ntry: main()\nfinally: assert "torch" not in sys.modules'
    with tempfile.TemporaryDirectory() as d:
        rc, out, err = demo('--help', cwd=d, code=code)
        assert rc == 0 and '--full' in out and '--lesson' in out and '--out' in out, (out, err)
        rc, out, err = demo('--epochs', 'many', cwd=d, code=code)
        assert rc == 2 and "'many' is not a whole number" in err, err


def test_whole_run(reader_python, tmp_path):
    """The README's command, installed and outside the checkout: plain lines, no control characters, one page, results
    beside it; a second run replaces its own page, and the same seed gives the same results."""
    from lesson7_lib.core.results import load_results

    command = [
        str(reader_python),
        str(installed_command(reader_python, 'lesson7_demo')),
        '--epochs',
        '1',
        '--seed',
        '3',
    ]
    env = {k: v for k, v in outside().items() if k not in ('DISPLAY', 'MPLBACKEND')}
    values = []
    for _ in range(2):
        r = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=900)
        out, err = r.stdout, r.stderr
        assert r.returncode == 0, err
        assert '\r' not in out + err and '\x1b' not in out + err, 'control characters where there is no terminal'
        assert 'synthetic' in out and 'ResNet' in out and 'index.html written' in out, out
        recs = load_results(tmp_path / 'lesson7_demo' / 'results')
        assert {r['lesson'] for r in recs} == {'01', '02', '04', '05', '08', '11'}, (
            recs
        )  # each stage leaves its results
        values.append([r['value'] for r in recs])
    assert len(values[0]) >= 7 and values[0] == values[1], values
    page = (tmp_path / 'lesson7_demo' / 'index.html').read_text(encoding='utf-8')
    assert len(page) < 1_000_000 and str(tmp_path) not in page
    assert sorted(o.name for o in (tmp_path / 'lesson7_demo').iterdir()) == ['index.html', 'results']


def test_without_the_real_data():
    "`--full` where the real data are nowhere to be had: one line that says what to do, no traceback, no page."
    with tempfile.TemporaryDirectory() as d:
        dead = 'http://127.0.0.1:9'
        rc, out, err = demo('--full', cwd=d, LESSON7_CACHE=str(Path(d) / 'cache'), http_proxy=dead, https_proxy=dead)
        assert rc == 2 and 'Traceback' not in err and 'mnist_png' in err and 'LESSON7_MIRROR' in err, (rc, out, err)
        assert not (Path(d) / 'lesson7_demo' / 'index.html').exists()
