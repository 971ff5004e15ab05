"""The documentation site: `python docs/build.py` makes the notebooks into pages, in `_docs`.

Everything comes from packages of the `docs` extra; no notebook is run. Only the runtime of the live cells is downloaded, once (see live.py); without it
they are still pictures. What the site needs is put into a temporary folder, where Sphinx builds it; a warning is an error.
"""

import argparse
import inspect
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT)]


def notebooks() -> list[str]:
    """The notebooks of the site in reading order, as paths inside nbs/: the start page, the lessons, then folder
    by folder."""
    found = [
        p.relative_to(ROOT / 'nbs').as_posix()
        for p in (ROOT / 'nbs').rglob('[0-9]*_*.ipynb')
        if '.ipynb_checkpoints' not in p.parts
    ]
    return ['index.ipynb', *sorted(found, key=lambda o: (PARTS.index(part(o)), o))]


FOLDERS = {'core': 'Core', 'vision': 'Vision', 'text': 'Text', 'synth': 'Built-in data', 'apps': 'Applications'}
PARTS = ['Start', 'Lessons', *FOLDERS.values(), 'Around']


def part(name: str) -> str:
    "The part of the site to which a notebook belongs."
    folder = name.rpartition('/')[0]
    if folder:
        return FOLDERS[folder]
    return 'Start' if name == 'index.ipynb' else 'Lessons' if name < '90' else 'Around'


def contents(
    titles: dict[str, str],  # page -> title
) -> str:  # markdown
    "The hidden tables of contents: what the sidebar shows, and what comes next."
    from pages import page_name

    parts: dict[str, list[str]] = {k: [] for k in PARTS[1:]}
    for name in notebooks()[1:]:
        page, number = page_name(name), re.match(r'(\d+)_', name.rpartition('/')[2])[1]
        label = f'{number} · {titles[page]}' if part(name) == 'Lessons' else titles[page]
        parts[part(name)].append(f'{label} </{page}>')
    parts['Lessons'].append('Results </results>')
    parts['Around'].append('Index of names <genindex>')
    first = '```{toctree}\n:hidden:\n\nTry it </try>\n```\n\n'
    return first + '\n\n'.join(
        f'```{{toctree}}\n:hidden:\n:caption: {k}\n\n' + '\n'.join(v) + '\n```' for k, v in parts.items() if v
    )


def runs_table(
    results: list[dict],  # results of one lesson
) -> str:  # markdown
    "The single runs behind a table: value, seed, date, commit, version, command."
    from lesson7_lib.core.table import Table, show_value, to_markdown

    head = ['experiment', 'stage', 'metric', 'value', 'seed', 'seconds', 'date', 'commit', 'PyTorch', 'command']

    def row(r: dict) -> list[str]:
        cells = [
            r.get('experiment') or '',
            r.get('stage') or '',
            r['metric'],
            show_value(r['value'], r.get('unit') or ''),
        ]
        cells += [r.get('seed', ''), f"{r.get('seconds') or 0:.0f}", (r.get('date') or '')[:10], r.get('commit') or '']
        cells += [r.get('versions', {}).get('torch', ''), f"`{r['command']}`" if r.get('command') else '']
        return [str(o) for o in cells]

    return to_markdown(Table(head, [row(r) for r in results]))


_columns = ['experiment', 'stage', 'data', 'lecture', 'here', 'seeds', 'epochs', 'parameters', 'seconds', 'device']


def results_page(
    results: list[dict],  # all results, as `load_results` gives them
    titles: dict[str, tuple[str, str]],  # number of a lesson -> (title, page)
) -> str:  # markdown
    "All measured results, lesson by lesson."
    from pages import provenance

    from lesson7_lib.core.results import results_table
    from lesson7_lib.core.table import to_markdown

    parts = [
        '# Results',
        '*Every measured number of the project, from the files in `results/` that the runs wrote themselves.*',
        'Where there are several seeds, a row shows mean ± standard deviation. What was measured on built-in data says *synthetic*.',
    ]
    for num in sorted({r['lesson'] for r in results}):
        mine = [r for r in results if r['lesson'] == num]
        title, page = titles.get(num, (num.capitalize(), ''))
        if page:
            parts += [
                f'(results-{num})=\n## {num} · {title}',
                f'The page: [{title}](/{page}.ipynb). Measured: ' + provenance(mine),
            ]
        else:
            parts += [f'## {title}', provenance(mine)]
        for metric in dict.fromkeys(r['metric'] for r in mine):
            rows = results_table([r for r in mine if r['metric'] == metric], columns=_columns)
            parts += [f'### {num}: {metric}', to_markdown(rows)]
        parts += [f'````{{dropdown}} The {len(mine)} runs\n\n{runs_table(mine)}\n````']
    return '\n\n'.join(parts) + '\n'


def _plain(out):
    "An output as markdown: a table as it is, text in a fence."
    data = out.get('data', {})
    if any(kind.startswith('image/') for kind in data):
        return '*(a picture)*'
    text = ''.join(data.get('text/markdown') or out.get('text') or data.get('text/plain') or '').rstrip()
    return text if 'text/markdown' in data else f'```\n{text}\n```' if text else ''


def page_text(
    nb,  # a staged notebook
):  # markdown
    "A page as plain markdown: prose, code and text outputs."

    def one(c):
        if 'plain' in c['metadata']:
            return c['metadata']['plain']  # entries repeat what the code says
        if c['cell_type'] == 'markdown':
            return re.sub(r'\{py:obj\}`([^ `]+) <[^>]*>`', r'`\1`', c['source'])
        code = '' if 'remove-input' in c['metadata'].get('tags', []) else f"```python\n{c['source']}\n```"
        return '\n\n'.join(o for o in [code, *map(_plain, c.get('outputs', []))] if o)

    return '\n\n'.join(filter(None, map(one, nb['cells']))) + '\n'


def llms_text(
    site,  # dict as from `read_site`
    pages,  # list of (part, page, title, line, names)
):  # text of llms.txt
    "The site in one page of links, for language models."
    res = [f"# {site['lib']}", f"> {site['description']}"]
    for part in dict.fromkeys(p[0] for p in pages):

        def row(p):
            return f"- [{p[2]}]({p[1]}.md): {p[3]}" + (f" Names: {', '.join(p[4])}." if p[4] else '')

        res += [f'## {part}', '\n'.join(row(p) for p in pages if p[0] == part)]
    return '\n\n'.join(res) + '\n'


def read_site(
    root,  # root of a checkout
):  # dict: lib, version, author, …, base (address of the site), files (address of the project's files)
    "What the site must know about the project, from settings.ini."
    from configparser import ConfigParser

    cfg = ConfigParser(delimiters=['='])
    cfg.read(Path(root) / 'settings.ini', encoding='utf-8')
    d = dict(cfg['DEFAULT'])
    keys = 'version author copyright description git_url branch'.split()
    more = dict(base=d['doc_host'] + d['doc_baseurl'], files=f"{d['git_url']}/blob/{d['branch']}")
    return dict(lib=d['lib_name'], **{k: d.get(k, '') for k in keys}, **more)


class Entries:
    "Writes the entry of a name, and remembers which names it wrote."

    def __init__(self, files: str):
        self.files, self.seen = files, {}

    def __call__(self, page: str, name: str, anchors: set[str]) -> str:
        from entries import api_entry, find_name

        module = 'lesson7_lib.' + page.replace('/', '.')
        obj = find_name(import_module(module), name)
        if obj is None:
            return ''
        self.seen.setdefault(page, []).append(name)
        try:
            line = inspect.getsourcelines(obj.fget if isinstance(obj, property) else inspect.unwrap(obj))[1]
        except (TypeError, OSError):
            line = 1
        return api_entry(obj, name, module, anchors, f'{self.files}/lesson7_lib/{page}.py#L{line}')


def stage_pages(
    site: dict,  # as from `read_site`
    results: list[dict],  # all results
) -> tuple[dict, list]:  # page -> staged notebook; list of (part, page, title, line, names) in the order of the sidebar
    "All notebooks of the checkout as pages."
    from pages import page_name, processed, provenance, stage_page

    entry, staged, pages = Entries(site['files']), {}, []
    for name in notebooks():
        page = page_name(name)
        mine = [r for r in results if part(name) == 'Lessons' and r['lesson'] == name[:2]]
        under = (
            f'```{{admonition}} Where the results come from\n:class: l7-from\n\n{provenance(mine)} '
            f'[All runs](/results.md#results-{name[:2]}).\n```'
        )
        staged[page], title, line = stage_page(processed(ROOT / 'nbs' / name), name, site, entry, under if mine else '')
        pages.append((part(name), page, title, line, entry.seen.get(page, [])))
    return staged, pages


_to_try = """**[Try it](/try.md)**: draw a digit, restore a photo, let a network count on. The lessons' networks run in your browser."""


def put_live(
    nb: dict,  # a staged notebook; it is changed
    page: str,  # its name
    cards: dict,  # of `stage_live`
) -> None:
    "Puts the live cells of a page before its first heading, and on the start page the way to all of them."
    from live import CELLS, live_markdown

    text = _to_try if page == 'index' else live_markdown(page, cards)
    if text:
        plain = (
            text
            if page == 'index'
            else '\n\n'.join(f'*(live cell: {o.title})*' for o in CELLS.values() if page in o.pages)
        )
        cells = nb['cells']
        at = next(
            (i for i, c in enumerate(cells) if c['cell_type'] == 'markdown' and c['source'].startswith('## ')),
            len(cells),
        )
        cells.insert(at, dict(cell_type='markdown', metadata=dict(plain=plain), source=text))


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    "With `folder` as the current one: nbdev looks for its settings from there."
    back = os.getcwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(back)


def stage_site(
    dest: Path,  # folder for the pages; it is made
) -> list:  # (part, page, title, line, names), one for each page
    "Everything that Sphinx needs, in one folder."
    from live import stage_live, try_page
    from pages import page_name

    from lesson7_lib.core.results import load_results

    site, results = read_site(ROOT), load_results(ROOT / 'results')
    with inside(ROOT):
        staged, pages = stage_pages(site, results)
    titles = {p[1]: p[2] for p in pages}
    staged['index']['cells'].append(dict(cell_type='markdown', metadata={}, source=contents(titles)))
    shutil.copytree(HERE, dest, ignore=shutil.ignore_patterns('__pycache__'))
    shutil.copytree(ROOT / 'nbs' / 'images', dest / 'images')
    cards = stage_live(dest / '_static')
    for page, nb in staged.items():
        put_live(nb, page, cards)

    def write(fn: str, text: str) -> None:
        (dest / fn).parent.mkdir(parents=True, exist_ok=True)
        (dest / fn).write_text(text, encoding='utf-8')

    for name in notebooks():
        page = page_name(name)
        write(f'notebooks/{name}', (ROOT / 'nbs' / name).read_text(encoding='utf-8'))
        write(f'{page}.ipynb', json.dumps(staged[page]))
        write(f'extra/{page}.md', page_text(staged[page]))
    lessons = {n[:2]: (titles[page_name(n)], page_name(n)) for n in notebooks() if part(n) == 'Lessons'}
    write('results.md', results_page(results, lessons))
    write('try.md', try_page(cards, titles))
    write('site.json', json.dumps(site))
    write('extra/llms.txt', llms_text(site, pages))
    return pages


class SiteError(Exception):
    "The site cannot be built; the text says what to do."


_needed = {
    'nbdev': 'nbdev',
    'execnb.nbio': 'execnb',
    'sphinx': 'sphinx',
    'myst_nb': 'myst-nb',
    'furo': 'furo',
    'sphinx_design': 'sphinx-design',
    'sphinx_copybutton': 'sphinx-copybutton',
    'latex2mathml': 'latex2mathml',
    'minify_html': 'minify-html',
    'rjsmin': 'rjsmin',
    'tinycss2': 'tinycss2',
}


def _there(name):
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:
        return False  # not even the package that it would lie in


def missing_packages(
    needed=_needed,  # dict: what is imported -> what pip calls it
):  # list of pip's names
    "What is not installed of that which the site needs."
    return [v for k, v in needed.items() if not _there(k)]


_made = '.lesson7_docs'  # the mark of a folder that this command wrote


def check_target(
    out: Path,  # folder for the site
) -> Path:
    "The folder, if it is free or holds a site of ours. Raises `SiteError` otherwise."
    if out.is_dir() and any(out.iterdir()) and not (out / _made).is_file():
        raise SiteError(f'{out} is not empty and was not written by this command. Choose another folder with --out')
    if out.is_file():
        raise SiteError(f'{out} is a file, not a folder: choose another with --out')
    return out


def build_site(
    out: Path,  # folder for the site
) -> Path:  # its first page
    "Build the site. Raises `SiteError` with what to do."
    missing = missing_packages()
    if missing:
        raise SiteError(f'these packages are missing: {", ".join(missing)}. Install them by: pip install -e ".[docs]"')
    check_target(out)
    from slim import slim_site

    with tempfile.TemporaryDirectory() as d:
        src, html = Path(d) / 'src', Path(d) / 'html'
        stage_site(src)
        options = ['-q', '-W', '--keep-going', '-b', 'html', '-d', f'{d}/doctrees']
        command = [sys.executable, '-m', 'sphinx', *options, str(src), str(html)]
        r = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if r.returncode:
            raise SiteError('Sphinx found faults:\n' + r.stdout.replace(f'{src}/', '').strip())
        slim_site(html)
        for o in (_made, '.nojekyll'):  # the second: GitHub publishes folders that begin with _, too
            (html / o).touch()
        if out.is_dir():
            shutil.rmtree(out)
        shutil.move(html, out)
    return out / 'index.html'


def main(
    args: list[str] | None = None,  # words; None: those of the command line
) -> int:  # exit status: 0 done, 2 something to fix
    "The command."
    p = argparse.ArgumentParser(description='Build the documentation site from the notebooks of this checkout.')
    p.add_argument('--out', metavar='FOLDER', default=str(ROOT / '_docs'), help='folder for the site (default: _docs)')
    try:
        print(f'{build_site(Path(p.parse_args(args).out).resolve())} written')
    except SiteError as e:
        print(f'build.py: {e}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
