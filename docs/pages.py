"""Notebooks as pages of the site: directives, links, widgets, entries, in the form that myst-nb reads."""

import ast
import posixpath
import re
from pathlib import Path

from entries import documented
from widgets import widget_html

ROOT = Path(__file__).resolve().parent.parent


def shown_lines(
    source,  # source of a code cell
):  # list of lines without blanks and `#|` directives
    "What a reader sees of a code cell."
    return [o for o in source.splitlines() if o.strip() and not o.lstrip().startswith('#|')]


_directive = re.compile(r'^\s*#\|\s*([\w-]+)\s*:?\s*(.*?)\s*$')


def directives(
    source,  # source of a code cell
):  # (dict: directive -> what follows it, the source without those lines)
    "The `#|` lines of a cell, and the rest."
    found, rest = {}, []
    for o in source.splitlines():
        m = _directive.match(o)
        if m:
            found[m[1]] = m[2].strip('"\'')
        else:
            rest.append(o)
    return found, '\n'.join(rest).strip('\n')


def cell_tags(
    found,  # directives of a cell, as `directives` gives them
):  # list of tags
    "What myst-nb must hide of a cell."
    tags = dict(echo='remove-input', output='remove-output', warning='remove-stderr')
    return [t for k, t in tags.items() if found.get(k) == 'false'] + ['hide-input'] * (found.get('code-fold') == 'true')


_fenced = re.compile(r'(?ms)^(:{3,}) *\{([^}\n]*)\}[^\n]*\n(.*?)^\1 *$')


def _callout(m):
    "One fenced div as MyST."
    fence, attrs, body = m[1], m[2], m[3].strip()
    kind = re.search(r'\.callout-(\w+)', attrs)
    classes = ' '.join(re.findall(r'[.]([\w-]+)', attrs))
    if not kind:
        return f'{fence}{{div}} {classes}\n{body}\n{fence}'
    title, fold = re.search(r'title="([^"]*)"', attrs), re.search(r'collapse="?(true|false)', attrs)
    head = re.match(r'#+ +(.+)\n?', body) if not title else None
    name = title[1] if title else head[1] if head else kind[1].capitalize()
    if head:
        body = body[head.end() :].strip()
    if fold:
        return f'{fence}{{dropdown}} {name}\n' + (':open:\n' if fold[1] == 'false' else '') + f'\n{body}\n{fence}'
    return f'{fence}{{admonition}} {name}\n:class: {kind[1]}\n\n{body}\n{fence}'


def myst_callouts(
    md,  # markdown of a cell
):  # markdown that MyST reads
    "Quarto's fenced divs as admonitions and dropdowns."
    return _fenced.sub(_callout, md)


def page_name(
    nb,  # path of a notebook inside `nbs/`, such as 'core/07_metrics.ipynb'
):  # name of its page, such as 'core/metrics'
    "The page of a notebook: its path without the number."
    path = Path(nb).with_suffix('')
    return (path.parent / re.sub(r'^\d+[a-zA-Z0-9]*_', '', path.name.lower())).as_posix()


def name_roles(
    md,  # markdown in which nbdev has linked the names
    base,  # address of the public site
):  # markdown with roles that Sphinx checks
    "Links to names of this library as references of Sphinx."
    link = re.compile(r'\[`([^`]+)`\]\(' + re.escape(base) + r'/?([\w./-]+)\.html#[^)]*\)')

    def one(m):
        module = 'lesson7_lib.' + m[2].replace('/', '.')
        return f'`{m[1]}`' if '._' in '.' + m[1] else f'{{py:obj}}`{m[1]} <{module}.{m[1].removesuffix("()")}>`'

    return link.sub(one, md)


def page_links(
    md,  # markdown of a page in nbs/
    repo,  # address of the folder of the project's files
    where='',  # folder of the page inside nbs/, such as 'core'
):  # markdown with links that hold on the site
    "Links between notebooks as links between pages, links to other files as links to the project."

    def one(m):
        file, _, mark = m[2].partition('#')
        mark = '#' + mark if mark else ''
        path = posixpath.normpath(posixpath.join('nbs', where, file))
        if file.endswith(('.ipynb', '.html')) and path.startswith('nbs/'):  # nbdev has made .html of some
            return f"{m[1]}/{page_name(path.removeprefix('nbs/'))}.ipynb{mark}"
        if path.startswith('nbs/images/'):
            return f"{m[1]}/{path.removeprefix('nbs/')}"
        if path.startswith('nbs/') and (ROOT / path).is_dir():
            return f'{m[1]}{repo}/{path}'
        return f'{m[1]}{repo}/{path}{mark}' if not path.startswith('nbs/') else m[0]

    return re.sub(r'(\]\()(?![a-z]+:|#|/)([^)\s]+)', one, md)


def _listed(xs):
    return ', '.join(dict.fromkeys(str(o) for o in xs if o not in (None, '')))


def provenance(
    results,  # the results of one lesson, as `load_results` gives them
):  # one paragraph of markdown
    "On what data and on which machine these results were measured."
    if not results:
        return 'No result of this lesson is in `results/` yet; what the page shows is what its cells printed.'
    v = [o.get('versions', {}) for o in results]
    data = _listed(o.get('data', '') + (' (synthetic)' if o.get('synthetic') else '') for o in results)
    where = _listed(f"{o.get('device', '')} ({r.get('device_name', '')})" for o, r in zip(results, v))
    threads, days = _listed(o.get('threads') for o in results), sorted(o.get('date', '')[:10] for o in results)
    many = f'{len(results)} runs' if len(results) > 1 else 'one run'
    return (
        f"{many} on {data}; device {where}{f', threads: {threads}' if threads else ''}; PyTorch {_listed(o.get('torch') for o in v)}, "
        f"Python {_listed(o.get('python') for o in v)}; {days[0]}{f' to {days[-1]}' if days[-1] != days[0] else ''}."
    )


def title_bar(
    nb,  # path of the notebook inside nbs/
    git_url,  # address of the project
    branch,  # name of its main branch
):  # one line of markdown
    "Which notebook a page is, and the ways to open it."
    lesson = re.match(r'(0\d|1\d)_', nb)
    colab = git_url.replace('https://github.com', 'https://colab.research.google.com/github')
    what = [f'Lesson {lesson[1]}'] if lesson else [nb.partition('/')[0].capitalize()] if '/' in nb else []
    module = [f"`lesson7_lib.{page_name(nb).replace('/', '.')}`"] if nb != 'index.ipynb' else []
    links = [
        f'[Open in Colab]({colab}/blob/{branch}/nbs/{nb})',
        f'{{download}}`Notebook for Jupyter </notebooks/{nb}>`',
        f'[Edit]({git_url}/edit/{branch}/nbs/{nb})',
    ]
    return '{.l7-bar}\n' + ' · '.join(what + module + links)


_not_here = {
    'add_show_docs',
    'exec_show_docs',
    'clean_show_doc',
    'rm_export',
    'add_fold',
    'mv_exports',
    'insert_warning',
}


def _plainly(o):
    "A notebook in nbdev's classes as plain dicts and lists, without what nbdev noted for itself."
    if isinstance(o, dict):
        return {k: _plainly(v) for k, v in o.items() if not k.endswith('_')}
    return [*map(_plainly, o)] if isinstance(o, (list, tuple)) else o


def processed(
    nb,  # path of a notebook inside a checkout
):  # the notebook after nbdev's processors, as a dict of plain values
    "A notebook as nbdev would hand it to a docs site, its exported code still in it."
    from execnb.nbio import read_nb
    from nbdev.process import NBProcessor
    from nbdev.processors import FilterDefaults

    class _Pages(FilterDefaults):
        def base_procs(self):
            return [o for o in super().base_procs() if o.__name__ not in _not_here]

        def nb_proc(self, nb):
            return NBProcessor(nb=nb, procs=self.procs(), rm_directives=False)

    res = read_nb(nb)
    _Pages()(res)
    return _plainly(res)


_view = 'application/vnd.jupyter.widget-view+json'


def stage_output(
    out,  # one output of a cell
    states,  # state of the notebook's widgets
    link,  # function that turns the links of markdown
):  # the output as the page gets it
    "Widgets as HTML, markdown with links of the site."
    data = out.get('data', {})
    if _view in data:
        key = data[_view]['model_id']
        data = (
            {'text/html': widget_html(states, key)}
            if key in states
            else {'text/plain': 'A widget: run the notebook to see it move.'}
        )
    if 'text/markdown' in data:
        data = {**data, 'text/markdown': link(''.join(data['text/markdown']))}
    return {**out, 'data': data} if data else out


def _md(source, plain=None):
    return dict(cell_type='markdown', metadata={} if plain is None else dict(plain=plain), source=source)


def _only_imports(body):
    try:
        tree = ast.parse(body).body
    except SyntaxError:
        return False
    return bool(tree) and all(isinstance(o, (ast.Import, ast.ImportFrom)) for o in tree)


def _is_test(statement):
    "An assert, a call of `test_…`, a `with expect_fail(…)`, or a block that ends in one."
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        return getattr(statement.value.func, 'id', '').startswith('test_')
    if isinstance(statement, (ast.With, ast.For, ast.If)):
        calls = [o.context_expr for o in getattr(statement, 'items', []) if isinstance(o.context_expr, ast.Call)]
        return any(getattr(o.func, 'id', '') == 'expect_fail' for o in calls) or _is_test(statement.body[-1])
    return isinstance(statement, ast.Assert)


def only_tests(
    body,  # source of a code cell, without directives
):  # True or False
    "Does a cell end in a test, and are at least half of its statements tests? Closing figures does not count."
    try:
        statements = [o for o in ast.parse(body).body if not ast.unparse(o).startswith('plt.close(')]
    except SyntaxError:  # a magic
        return False
    return bool(statements) and _is_test(statements[-1]) and 2 * sum(map(_is_test, statements)) >= len(statements)


def _folded(names, entries):
    "Entries that open on a click, under the names of what they are."
    called = [n if n[0].isupper() and '.' not in n else f'{n}()' for n in names]
    return f'`````{{dropdown}} {", ".join(called)}\n:class-container: api-fold\n\n{entries}\n`````'


def _fold_name(found, body, outs, lesson):
    "What a cell is called that opens on a click; '' for one that stays open. A test that proves what the text says stays open by `code-fold: false`."
    if found.get('code-fold') == 'false':
        return ''
    if 'export' in found:
        return 'Imports' if _only_imports(body) else '' if lesson else 'Source'
    return 'Tests' if only_tests(body) and not outs else ''


def _note(found, body, outs, fold):
    "What myst-nb is told about a cell: the words of a fold, the text of a picture."
    drawn = found.get('fig-alt') or found.get('fig-cap') or 'Output of: ' + (shown_lines(body) or [''])[-1].strip()
    note = dict(code_prompt_show=fold, code_prompt_hide=fold) if fold else {}
    if any(kind.startswith('image/') for o in outs for kind in o.get('data', {})):
        note['image'] = dict(alt=drawn)
    if 'fig-cap' in found:
        note['figure'] = dict(caption=found['fig-cap'])
    return note


def stage_code(
    cell,  # a processed code cell
    states,  # state of the notebook's widgets
    link,  # function that turns the links of markdown
    entry,  # function: documented name -> markdown of its entry, '' if there is none
    lesson,  # whether the page shows its code
):  # list of cells
    "A code cell as the cells of a page."
    found, body = directives(''.join(cell['source']))
    outs = [stage_output(o, states, link) for o in cell.get('outputs', [])]
    if not body.strip() and not outs:
        return []
    tags, names = cell_tags(found), documented(body) if 'export' in found else []
    entries = '\n\n'.join(o for o in map(entry, names) if o)
    fold = _fold_name(found, body, outs, lesson)
    meta = dict(tags=tags + ['hide-input'] * bool(fold), mystnb=_note(found, body, outs, fold))
    code = dict(cell_type='code', metadata=meta, source=body, outputs=outs, execution_count=None)
    if not entries:
        return [code]
    return [code, _md(_folded(names, entries), '')] if lesson else [_md(entries, ''), code]


def _front(cell):
    "Title and description from the cell that nbdev makes of the heading, or None."
    m = re.match(r'^---\n(.*?)\n---', ''.join(cell['source']), re.S)
    if not m:
        return
    import yaml

    d = yaml.safe_load(m[1])
    return str(d.get('title', '')), str(d.get('description') or '')


def _anchors(cells):
    "The ids that the headings of a page get."
    heads = re.findall(
        r'(?m)^#+ +(.+?) *$', '\n\n'.join(''.join(c['source']) for c in cells if c['cell_type'] == 'markdown')
    )
    return {re.sub(r'[^\w-]+', '', re.sub(r'\s+', '-', re.sub(r'[`*]', '', o).lower())) for o in heads}


def _top(title, line, name, site, under):
    "Title, module, description and the line of links: what stands above the first paragraph."
    module = f"```{{py:module}} lesson7_lib.{page_name(name).replace('/', '.')}\n```" if name != 'index.ipynb' else ''
    parts = [f'# {title}', module, f'*{line}*' if line else '', title_bar(name, site['git_url'], site['branch']), under]
    return _md('\n\n'.join(o for o in parts if o), f'# {title}\n\n> {line}\n\nThe notebook nbs/{name} of the project.')


def stage_page(
    nb,  # a processed notebook
    name,  # its path inside nbs/
    site,  # dict as from `read_site`
    entry,  # function (page's name, documented name, anchors) -> markdown of an entry
    under,  # markdown below the title, or ''
):  # (the notebook that myst-nb reads, title, description)
    "A processed notebook as a page."
    page, lesson = page_name(name), bool(re.match(r'(0|1)\d_', name))
    states = nb['metadata'].get('widgets', {}).get('application/vnd.jupyter.widget-state+json', {}).get('state', {})

    def link(o):
        return page_links(name_roles(o, site['base']), site['files'], posixpath.dirname(name))

    raw = [c for c in nb['cells'] if c.get('source') or c.get('outputs')]
    anchors, cells, front = _anchors(raw), [], (page, '')
    for c in raw:
        if c['cell_type'] == 'code':
            cells += stage_code(c, states, link, lambda n: entry(page, n, anchors), lesson)
        elif c['cell_type'] == 'markdown':
            cells.append(_md(myst_callouts(link(''.join(c['source'])))))
        elif _front(c):
            front = _front(c)
    spec = dict(name='python3', display_name='python3', language='python')
    meta = dict(kernelspec=spec, language_info=dict(name='python', pygments_lexer='ipython3'))
    return dict(cells=[_top(*front, name, site, under), *cells], metadata=meta, nbformat=4, nbformat_minor=4), *front
