"The demo as its users meet it: as a process of its own, without terminal, notebook or display."

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from environments import installed_command, outside

ROOT = Path(__file__).resolve().parent.parent
LESSONS = {'01', '02', '04', '05', '08', '09', '10', '11'}  # those with a stage
AGAIN = '01', '05', '11'  # lessons of the second run: pictures, a text, a table


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
    beside it. A second run, of some lessons, replaces its own page, and the same seed gives the same results, whichever
    lessons came before."""
    from lesson7_lib.core.results import load_results

    lesson7_demo = [str(reader_python), str(installed_command(reader_python, 'lesson7_demo'))]
    env = {k: v for k, v in outside().items() if k not in ('DISPLAY', 'MPLBACKEND')}
    folder = tmp_path / 'lesson7_demo'

    def run(*options):
        "The page and the values, by lesson and model."
        command = [*lesson7_demo, '--epochs', '1', '--seed', '3', *options]
        r = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=900)
        out, err = r.stdout, r.stderr
        assert r.returncode == 0, err
        assert '\r' not in out + err and '\x1b' not in out + err, 'control characters where there is no terminal'
        assert 'synthetic' in out and 'ResNet' in out and 'index.html written' in out, out
        page = (folder / 'index.html').read_text(encoding='utf-8')
        assert len(page) < 1_000_000 and str(tmp_path) not in page
        assert sorted(o.name for o in folder.iterdir()) == ['index.html', 'results']
        return page, {(o['lesson'], o['experiment']): o['value'] for o in load_results(folder / 'results')}

    whole_page, values = run()
    assert {lesson for lesson, _ in values} == LESSONS  # each stage leaves its results
    shutil.rmtree(folder / 'results')
    page, again = run('--lesson', *AGAIN)
    assert again == {k: v for k, v in values.items() if k[0] in AGAIN}, (again, values)
    assert len(page) < len(whole_page)


def test_without_the_real_data():
    "`--full` where the real data are nowhere to be had: one line that says what to do, no traceback, no page."
    with tempfile.TemporaryDirectory() as d:
        dead = 'http://127.0.0.1:9'
        rc, out, err = demo('--full', cwd=d, LESSON7_CACHE=str(Path(d) / 'cache'), http_proxy=dead, https_proxy=dead)
        assert rc == 2 and 'Traceback' not in err and 'mnist_png' in err and 'LESSON7_MIRROR' in err, (rc, out, err)
        assert not (Path(d) / 'lesson7_demo' / 'index.html').exists()
