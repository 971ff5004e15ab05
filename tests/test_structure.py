"""The structure that CONTRIBUTING describes, read from the code: who may import whom, how large a module may be,
what a page must have."""

import ast
import json
import re
import sys
from configparser import ConfigParser

import pytest
from project import PACKAGE, ROOT, Notebook, code_lines, imports, lessons, module_name, notebooks, reading_words

NOTEBOOKS = notebooks()
LESSON_LINES, MODULE_LINES = 450, 600
# from the bottom to the top; a module may import from folders before its own, and inside its folder from lower numbers
LAYERS = ['core', 'vision', 'text', 'synth', '', 'apps', 'top']


def layer(nb: Notebook) -> str:
    return 'top' if nb.module in ('lecture', 'all') else nb.folder


def may_import(importer: Notebook, imported: Notebook) -> bool:
    "Is this import allowed? `vision` and `text` do not know each other."
    a, b = layer(importer), layer(imported)
    if a == b:
        return imported.number < importer.number
    return LAYERS.index(b) < LAYERS.index(a) and {a, b} != {'vision', 'text'}


def test_layers():
    by_module = {nb.module: nb for nb in NOTEBOOKS}
    bad = []
    for nb in NOTEBOOKS:
        for module, _ in imports(nb.module_file):
            if module in by_module and not may_import(nb, by_module[module]):
                bad.append(f'{nb.name} imports {by_module[module].name}')
    assert not bad, '\n'.join(sorted(set(bad)))


def test_layers_are_seen():
    "The rule would notice an import that goes up, and one between lessons in the wrong order."
    by_name = {nb.name: nb for nb in NOTEBOOKS}
    assert not may_import(by_name['core/15_learner'], by_name['01_resnet_mnist'])
    assert not may_import(by_name['01_resnet_mnist'], by_name['02_unet'])
    assert may_import(by_name['02_unet'], by_name['01_resnet_mnist'])
    assert ('core.learner', 'Learner') in imports(PACKAGE / 'unet.py')


def test_no_private_imports():
    bad = [
        f'{module_name(p)} imports {m}.{n}'
        for p in PACKAGE.rglob('*.py')
        for m, n in imports(p)
        if n.startswith('_') and not n.startswith('__')
    ]
    assert not bad, '\n'.join(bad)


def test_no_replaced_methods():
    """`@patch` may add a method to a class of another module, never replace one, and no module assigns to
    another's attributes."""
    methods, bad = {}, []
    for nb in NOTEBOOKS:
        for node in ast.parse(nb.module_file.read_text(encoding='utf-8')).body:
            if isinstance(node, ast.ClassDef):
                names = [o.name for o in node.body if isinstance(o, ast.FunctionDef)]
            elif isinstance(node, ast.FunctionDef) and any('patch' in ast.unparse(d) for d in node.decorator_list):
                first = node.args.args[0].annotation
                for owner in ast.unparse(first).strip('()').split('|') if first is not None else []:
                    key = (owner.strip().strip('\'"'), node.name)
                    if key in methods and methods[key] != nb.name:
                        bad.append(f'{nb.name} replaces {".".join(key)} of {methods[key]}')
                    methods.setdefault(key, nb.name)
                continue
            else:
                continue
            methods.update({(node.name, n): nb.name for n in names})
    assert not bad, '\n'.join(bad)


def names_taken(source: str) -> set[str]:
    """Names that a module uses both for a function and for a method that `@patch` adds: older versions of fastcore leave
    `None` under that name in the module."""
    functions, methods = set(), set()
    for node in ast.parse(source).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            added = any(ast.unparse(d).split('(')[0] == 'patch' for d in node.decorator_list)
            (methods if added else functions).add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            functions |= {a.asname or a.name for a in node.names}
    return functions & methods


def test_methods_take_no_name():
    bad = {
        module_name(p): found for p in PACKAGE.rglob('*.py') if (found := names_taken(p.read_text(encoding='utf-8')))
    }
    assert not bad, f'give the method another name: {bad}'
    assert names_taken(
        'from a import b\ndef f(): pass\n@patch\ndef b(self: A): pass\n@patch\ndef f(self: A): pass'
    ) == {'b', 'f'}


@pytest.mark.parametrize('nb', NOTEBOOKS, ids=lambda nb: nb.name)
def test_size(nb):
    lines = sum(len(code_lines(o)) for o in nb.exported)
    limit = MODULE_LINES if nb.folder or layer(nb) == 'top' else LESSON_LINES
    assert lines <= limit, f'{lines} exported lines of code; at most {limit}: move what the page does not teach'


def test_every_module_has_a_notebook():
    made = {nb.module for nb in NOTEBOOKS}
    there = {module_name(p) for p in PACKAGE.rglob('*.py') if p.stem not in ('__init__', '_modidx')}
    assert there == made, f'without a notebook: {sorted(there - made)}; not exported: {sorted(made - there)}'


def test_every_test_file_has_tests():
    bad = [p.name for p in (ROOT / 'tests').glob('test_*.py') if not re.search(r'(?m)^def test_', p.read_text())]
    assert not bad, f'files without a test: {bad}'


IMPORT_NAMES = {'pillow': 'PIL'}  # where a distribution is not imported by its own name


def reader_modules() -> set[str]:
    "What a notebook may import: Python's own modules, this package, what it requires; ipywidgets brings IPython and what that needs."
    cfg = ConfigParser(delimiters=['='])
    cfg.read(ROOT / 'settings.ini', encoding='utf-8')
    names = [re.match(r'[\w-]+', o)[0] for o in cfg['DEFAULT']['requirements'].split()]
    known = {'lesson7_lib', 'IPython', 'matplotlib_inline'}
    return {IMPORT_NAMES.get(o, o) for o in names} | known | set(sys.stdlib_module_names)


def plain_imports(code: str) -> set[str]:
    "The packages that a cell imports whatever happens: not inside a function, or a `try` or `if` that can do without."
    body = ast.parse(re.sub(r'(?m)^[%!].*$', '', code)).body
    whole = [a.name for o in body if isinstance(o, ast.Import) for a in o.names]
    parts = [o.module for o in body if isinstance(o, ast.ImportFrom) and not o.level]
    return {o.split('.')[0] for o in (*whole, *parts)}


@pytest.mark.parametrize('nb', [*NOTEBOOKS, Notebook(ROOT / 'nbs' / 'index.ipynb')], ids=lambda nb: nb.name)
def test_runs_after_plain_install(nb):
    "No cell needs more than `pip install .` brings; nbdev, of whatever version, is the maintainers'."
    bad = set().union(*map(plain_imports, nb.code)) - reader_modules()
    assert not bad, f'imports {sorted(bad)}: a reader has not installed that'


def test_imports_of_cells_are_seen():
    code = '%matplotlib inline\nimport nbdev.export\nfrom sklearn import x\ntry:\n    import pandas\nexcept ImportError:\n    pass'
    assert plain_imports(code) == {'nbdev', 'sklearn'} and not {'nbdev', 'sklearn'} & reader_modules()
    assert {'torch', 'PIL', 'os', 'lesson7_lib'} <= reader_modules()


TEST_LINE = re.compile(r'^\s*(test_\w+\(|assert\b|with expect_fail|show_fail\()', re.M)
ABSOLUTE = re.compile(
    r"""(?<![\w.:/~-])(?:/(?:home|root|Users|tmp|var|opt|mnt|content|private|work)/[\w.]|[A-Z]:\\\w)"""
)


def readable(output: dict) -> str:
    "The text of an output: streams, plain and HTML forms, tracebacks; no images."
    data = [v for k, v in output.get('data', {}).items() if k.startswith('text/')]
    return '\n'.join(''.join(o) for o in (*data, output.get('text', ''), '\n'.join(output.get('traceback', []))))


STATES, VIEW = 'application/vnd.jupyter.widget-state+json', 'application/vnd.jupyter.widget-view+json'


def widget_faults(nb: dict) -> list[str]:
    "Widgets that a notebook shows without their saved state (dead on the site), or saves without showing any."
    states = nb['metadata'].get('widgets', {}).get(STATES, {}).get('state', {})
    shown = {
        c['id']: o['data'][VIEW]['model_id']
        for c in nb['cells']
        for o in c.get('outputs', [])
        if VIEW in o.get('data', {})
    }
    bad = [f'cell {k}: the state of its widget is not saved' for k, model in shown.items() if model not in states]
    return bad + ([f'{len(states)} saved widgets, and no cell shows one'] if states and not shown else [])


@pytest.mark.parametrize('nb', NOTEBOOKS, ids=lambda nb: nb.name)
def test_widgets_are_saved(nb):
    assert not (bad := widget_faults(json.loads(nb.path.read_text(encoding='utf-8')))), '\n'.join(bad)


def test_lost_widgets_are_seen():
    cell = dict(id='a', outputs=[dict(data={VIEW: dict(model_id='m')})])
    saved = dict(widgets={STATES: dict(state=dict(m={}))})
    assert widget_faults(dict(cells=[cell], metadata=saved)) == []
    assert 'not saved' in widget_faults(dict(cells=[cell], metadata={}))[0]
    assert 'no cell shows' in widget_faults(dict(cells=[], metadata=saved))[0]


@pytest.mark.parametrize('nb', [nb for nb in lessons() if nb.number in range(1, 8)], ids=lambda nb: nb.name)
def test_length(nb):
    "A lesson of the lecture is read in one go: what else there is to say is folded, or stands after the questionnaire."
    assert 800 <= (n := reading_words(nb.sources('markdown'))) <= 2000, f'{n} words; 800 to 2000'


def test_words_counted():
    page = [
        '# Two words\n\n**Source:** [left out](https://a.b)',
        'One $x + y$ `two` [three](c.d).\n\n<details><summary>No</summary>no</details>',
    ]
    assert reading_words(page) == 5
    assert reading_words([*page, '## Questionnaire\n\nnot counted']) == 5


NOT_PROSE = re.compile(r'<[^>]*>|\]\([^)]*\)')  # tags, and where links lead


@pytest.mark.parametrize('nb', NOTEBOOKS, ids=lambda nb: nb.name)
def test_page(nb):
    "What CONTRIBUTING asks of every notebook."
    bad = []
    words = sum(len(re.findall(r'\w+', NOT_PROSE.sub(' ', o))) for o in nb.sources('markdown'))
    tests = sum(len(TEST_LINE.findall(o)) for o in nb.code)
    defs = [n for s in nb.exported for n in ast.parse(s).body if isinstance(n, (ast.FunctionDef, ast.ClassDef))]
    public = [n for n in defs if not n.name.startswith('_')]
    title = next((o.strip() for o in nb.sources('markdown')), '')
    if not re.fullmatch(r'# [^\n]+\n\n> [^\n]+', title):
        bad.append('the first markdown cell must be `# Title` and `> one line`, nothing else (nbdev drops the rest)')
    if 'google.colab' not in nb.code[0]:
        bad.append('the first cell must be the hidden one that installs the library on Colab')
    if not 100 <= words <= 4500:
        bad.append(f'{words} words of prose; 100 to 4500')
    if tests < max(1, 1.5 * len(public)):
        bad.append(f'{tests} test lines for {len(public)} exported definitions; at least 1.5 for each')
    if any(o.get('output_type') == 'error' for o in nb.outputs):
        bad.append('an error is stored as output')
    size = len(json.dumps(nb.outputs)) / 1024
    if size > 300:
        bad.append(f'{size:.0f} KB of outputs; at most 300')
    paths = [line.strip() for o in nb.outputs for line in readable(o).splitlines() if ABSOLUTE.search(line)]
    if paths:
        bad.append(f'an output shows a path of somebody\'s machine: {paths[0][:80]}')
    if re.search(r'^[A-Z]+(?:_[A-Z]+)+$', '\n'.join(nb.sources('markdown')), re.M):
        bad.append('a placeholder is left in the prose')
    long = [line for o in nb.exported for line in o.splitlines() if len(line) > 120]
    if long:
        bad.append(f'a line of {len(long[0])} characters in an exported cell: {long[0].strip()[:60]}…')
    assert not bad, '\n'.join(bad)
