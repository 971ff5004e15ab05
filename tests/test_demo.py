"The demo as its users meet it: as a process of its own, without terminal, notebook or display."

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from environments import installed_command, outside
from test_site import FLAGS, PHONE, browser, cannot

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
        assert len(page) < 2_000_000 and str(tmp_path) not in page
        assert sorted(o.name for o in folder.iterdir()) == ['index.html', 'results']
        return page, {(o['lesson'], o['experiment']): o['value'] for o in load_results(folder / 'results')}

    whole_page, values = run()
    assert {lesson for lesson, _ in values} == LESSONS  # each stage leaves its results
    shutil.rmtree(folder / 'results')
    page, again = run('--lesson', *AGAIN)
    assert again == {k: v for k, v in values.items() if k[0] in AGAIN}, (again, values)
    assert len(page) < len(whole_page)
    assert [page.count(f'data-live="{o}"') for o in ('digits', 'count')] == [1, 1]


def test_without_the_real_data():
    "`--full` where the real data are nowhere to be had: one line that says what to do, no traceback, no page."
    with tempfile.TemporaryDirectory() as d:
        dead = 'http://127.0.0.1:9'
        rc, out, err = demo('--full', cwd=d, LESSON7_CACHE=str(Path(d) / 'cache'), http_proxy=dead, https_proxy=dead)
        assert rc == 2 and 'Traceback' not in err and 'mnist_png' in err and 'LESSON7_MIRROR' in err, (rc, out, err)
        assert not (Path(d) / 'lesson7_demo' / 'index.html').exists()


def live_page(fn):
    "A page with both live cells, of networks that were never trained; (the digit network, the counting network, data)."
    import torch

    from lesson7_lib.apps.demo import digit_models
    from lesson7_lib.apps.demo_live import counter_section, digit_section, live_files
    from lesson7_lib.apps.report import page_html, stage_html
    from lesson7_lib.human_numbers_rnn import Model5, numbers_data

    torch.manual_seed(1)
    digits, counter, data = digit_models()['ResNet'][0](), Model5(), numbers_data()
    for m in [*digits.modules(), *counter.modules()]:
        if getattr(m, 'running_mean', None) is not None:  # as after a training; the blocks begin as the identity
            for o in (m.weight.data, m.bias.data, m.running_mean, m.running_var):
                o.uniform_(0.3, 1.2)
    norm = SimpleNamespace(mean=torch.tensor([0.13]), std=torch.tensor([0.31]))
    sections = [
        digit_section(SimpleNamespace(model=digits, data=SimpleNamespace(norm=norm))),
        counter_section(SimpleNamespace(model=counter, data=data)),
    ]
    parts = [stage_html('01', 'Live', [], '', sections)]
    page = page_html(parts, 'Live', '', [], **live_files(parts))
    fn.write_text(page, encoding='utf-8')
    return digits.eval(), counter.eval(), data


def test_live_cells(tmp_path):
    """The page's networks in a browser, from disk: the same numbers as PyTorch's, by mouse and by keyboard; nothing is
    asked for, and nothing complains. Without JavaScript a sentence stands in their place."""
    import numpy as np
    import torch
    from test_live import DIGITS, draw, near

    from lesson7_lib.synth.numbers import number_words

    if why := cannot():
        pytest.skip(why)
    from playwright.sync_api import sync_playwright

    fn = tmp_path / 'index.html'
    digits, counter, data = live_page(fn)
    with sync_playwright() as p:
        chrome = p.chromium.launch(executable_path=browser(), args=FLAGS)
        page, said, asked = chrome.new_page(viewport=PHONE), [], []
        page.on('console', lambda o: said.append(o.text))
        page.on('pageerror', lambda o: said.append(str(o)))
        page.on('request', lambda o: asked.append(o.url))
        page.goto(fn.as_uri())
        assert page.get_by_text('needs JavaScript').count() == 0
        wide, inside = page.evaluate('[document.documentElement.scrollWidth, innerWidth]')
        assert wide <= inside, f'the page is {wide} pixels wide in a window of {inside}'

        box = page.locator('[data-live=digits]')
        with torch.no_grad():
            for digit in (4, 8):
                box.get_by_role('button', name='Clear').click()
                draw(SimpleNamespace(box=box, page=page), DIGITS[digit])
                page.wait_for_timeout(200)  # a digit of two strokes is read again
                pixels, scores = box.evaluate('o => [[...o.last.pixels], [...o.last.scores]]')
                x = torch.tensor(pixels).view(1, 1, 28, 28)
                assert 0.05 < x.mean() < 0.3 and x.max() == 1
                near(scores, digits((x - 0.13) / 0.31))
        assert box.locator('.live-bars li').count() == 10
        box.get_by_role('button', name='Clear').click()
        box.locator('.live-draw').focus()
        for key in ('Space', *['ArrowDown'] * 14, 'Space'):
            page.keyboard.press(key)
        box.get_by_role('status').filter(has_text='with').wait_for()
        x = np.reshape(box.evaluate('o => [...o.last.pixels]'), (28, 28))
        rows, cols = (x > 0.5).any(1).sum(), (x > 0.5).any(0).sum()
        assert 19 <= rows <= 21 and cols <= 3, f'a line down has {rows} rows and {cols} columns'

        box = page.locator('[data-live=count]')
        number = box.get_by_label('Count on from')
        number.fill('1')
        number.press('Enter')
        box.get_by_role('status').filter(has_text='1 is not a whole number from 3 to 9988').wait_for()
        number.fill('8246')
        for _ in range(5):
            box.get_by_role('button', name='Next word').press('Enter')
        tokens, scores = box.evaluate('o => [o.last.tokens, o.last.scores]')
        given = data.x_list.one(' , '.join(map(number_words, (8244, 8245, 8246))) + ' ,')[0]
        assert tokens[: len(given)] == list(given) and len(tokens) == len(given) + 5
        with torch.no_grad():
            counter.reset()
            near(scores, counter(torch.tensor(tokens)[:, None])[-1, 0])
        assert (said, asked) == ([], [fn.as_uri()])

        plain = chrome.new_page(java_script_enabled=False)
        plain.goto(fn.as_uri())
        assert plain.get_by_text('needs JavaScript').count() == 2
        chrome.close()
