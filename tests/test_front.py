"What a visitor meets first: README.md and its links, the code in it, and the first cell of every notebook."

import ast
import builtins
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'docs/README.md']


def prose(text: str) -> str:
    return re.sub(r'(?ms)^(```|~~~).*?^\1 *$', '', text)


def anchors(text: str) -> set[str]:
    "The marks that GitHub gives to the headings of a page."
    heads = re.findall(r'(?m)^#+ +(.+?) *$', prose(text))
    return {re.sub(r'\s', '-', re.sub(r'[^\w\s-]', '', o.lower())) for o in heads}


def dead_links(page: str, text: str) -> list[str]:
    "Links and images of a markdown page that lead to nothing in the project."
    bad = []
    for match in re.findall(r'\]\(([^)\s]+)\)|(?:src|href)="([^"]+)"', prose(text)):
        to = match[0] or match[1]
        if re.match(r'[a-z]+:', to):
            continue
        file, _, mark = to.partition('#')
        there = (ROOT / page).parent / file if file else ROOT / page
        if not there.exists():
            bad.append(f'{page}: {to} is not there')
        elif mark and there.suffix == '.md':
            if mark not in anchors(there.read_text(encoding='utf-8') if file else text):
                bad.append(f'{page}: {to} has no such heading')
    return bad


def unknown_names(code: str, known: list[str]) -> list[str]:
    "Names that a piece of code uses and nobody gives it."
    tree = ast.parse(code)
    nodes = list(ast.walk(tree))
    made = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    made |= {n.arg for n in nodes if isinstance(n, ast.arg)}
    made |= {n.name for n in nodes if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
    imported = [a for n in nodes if isinstance(n, (ast.Import, ast.ImportFrom)) for a in n.names]
    made |= {(a.asname or a.name).split('.')[0] for a in imported}
    used = {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    return sorted(used - made - set(known) - set(dir(builtins)))


def test_links():
    bad = [o for p in PAGES for o in dead_links(p, (ROOT / p).read_text(encoding='utf-8'))]
    assert not bad, '\n'.join(bad)


def test_links_are_seen():
    text = (
        '# One\n\n[a](#one) [b](#two) [c](no-such.md) ![d](no.png) [e](https://example.org) `[f](x)`\n\n'
        '```\n[g](gone)\n```\n'
    )
    found = dead_links('README.md', text)
    assert [o.split(': ')[1].split(' ')[0] for o in found] == ['#two', 'no-such.md', 'no.png', 'x'], found


def test_order_of_readme():
    "One picture, then the two commands, then the lessons, data, development: as a visitor asks."
    text = (ROOT / 'README.md').read_text(encoding='utf-8')
    marks = [
        r'!\[|<img|<picture',
        '```sh',
        'bin/lesson7_demo',
        'bin/pytest',
        '## Lessons',
        '## Data',
        '## Development',
    ]
    found = [re.search(o, text) for o in marks]
    assert all(found), dict(zip(marks, found))
    places = [o.start() for o in found]
    assert places == sorted(places), dict(zip(marks, places))


def test_code_of_readme():
    """Every piece of Python uses only names that the star import brings; the one on built-in data also runs,
    with one epoch."""
    import lesson7_lib.all as everything

    blocks = re.findall(r'(?ms)^```python\n(.*?)^```', (ROOT / 'README.md').read_text(encoding='utf-8'))
    assert blocks, 'no Python in README.md'
    for code in blocks:
        assert 'from lesson7_lib' in code, f'the reader does not see what to import:\n{code}'
        lost = unknown_names(code, everything.__all__)
        assert not lost, f'unknown names {lost} in:\n{code}'
    short = [re.sub(r'fit(_one_cycle)?\(\d+', r'fit\1(1', o) for o in blocks if 'URLs.SYNTH_' in o]
    assert short, 'no example on built-in data'
    exec(short[0], dict(__name__='readme'))
