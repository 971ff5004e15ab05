"""What the built pages need not carry: marks of code that have no colour, names and styles that no rule needs, rules of style for what no page has, ends
of tags."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import minify_html
import rjsmin
import tinycss2

# ---- colours of code. Pygments marks every name, bracket, operator and space, most of them in the colour of plain text; operators are nearly so.

PLAIN = ('n', 'p', 'o', 'w')
# the commonest marks (numbers, keywords, strings) are elements without a class; site.css keeps them upright, thin and without a line
BARE = dict(mi='i', k='b', s1='u')
_code = re.compile(r'(?s)<div class="highlight">.*?</pre>')
_plain = re.compile(rf'<span class="(?:{"|".join(PLAIN)})">([^<]*)</span>')
_mark = re.compile(r'<span class="([a-z0-9]{1,2})">([^<]*)</span>')
_comment = re.compile(r'(?s)/\*.*?\*/')
_rule = re.compile(r'([^{}]*\.highlight) \.([a-z0-9]{1,2}) ?\{([^}]*)\}')  # one mark of Pygments' sheet


def same_marks(
    css: str,  # Pygments' sheet, light and dark
) -> dict[str, str]:  # mark -> the one of those that look like it which comes first in `BARE`, or in the alphabet
    "Which marks of code look alike."
    looks: dict[str, list[tuple[str, str]]] = {}
    for where, mark, style in _rule.findall(_comment.sub('', css)):
        looks.setdefault(mark, []).append((' '.join(where.split()), ' '.join(style.split())))
    first: dict[str, str] = {}
    for mark in [*BARE, *sorted(looks)]:
        first.setdefault(str(looks.get(mark)), mark)
    return {mark: first[str(look)] for mark, look in looks.items()}


def slim_marks(
    css: str,  # Pygments' sheet
    same: dict[str, str],  # of `same_marks`
) -> str:
    "The sheet for the marks that are left."

    def one(m: re.Match) -> str:
        where, mark, style = m.groups()
        if same[mark] != mark or mark in PLAIN:
            return ''
        return f'{where} {BARE.get(mark, f".{mark}")}{{{style}}}'

    return _rule.sub(one, _comment.sub('', css))


def slim_code(
    html: str,  # a page
    same: dict[str, str],  # of `same_marks`
) -> str:
    "A page whose code has only the marks that are seen, each as a short element."

    def mark(m: re.Match) -> str:
        if m[1] not in same:
            return m[2]
        name = same[m[1]]
        return f'<{BARE[name]}>{m[2]}</{BARE[name]}>' if name in BARE else f'<i class={name}>{m[2]}</i>'

    return _code.sub(lambda m: _mark.sub(mark, _plain.sub(r'\1', m[0])), html)


# ---- style


def _uses(tokens: Iterable[Any], words: set[str]) -> bool:
    "Can this selector be for anything? `:not(…)` does not count."
    before = None
    for o in tokens:
        if o.type == 'hash' and o.value not in words:
            return False
        if o.type == 'ident' and before == '.' and o.value not in words:
            return False
        if (
            o.type == 'function'
            and o.lower_name in ('is', 'where')
            and not any(_uses(k, words) for k in _listed(o.arguments))
        ):
            return False
        before = o.value if o.type == 'literal' else None
    return True


def _listed(tokens: Iterable[Any]) -> Iterator[list[Any]]:
    "What stands between commas."
    part: list[Any] = []
    for o in tokens:
        if o.type == 'literal' and o.value == ',':
            yield part
            part = []
        else:
            part.append(o)
    yield part


def _text(tokens: Iterable[Any]) -> str:
    "Tokens as CSS, without comments, with single spaces."
    return ''.join(' ' if o.type == 'whitespace' else o.serialize() for o in tokens if o.type != 'comment').strip()


def _declarations(tokens: list[Any], variables: set[str]) -> str:
    "The inside of a rule, without variables that nothing reads."
    out = []
    for o in tinycss2.parse_blocks_contents(tokens, skip_comments=True, skip_whitespace=True):
        if o.type != 'declaration':
            out.append(o.serialize())
        elif not o.name.startswith('--') or o.name in variables:
            out.append(f'{o.name}:{_text(o.value)}{"!important" if o.important else ""}')
    return ';'.join(out)


def _rules(rules: list[Any], words: set[str], variables: set[str]) -> str:
    "Rules as CSS; neighbours with the same inside are one."
    out: list[list[str]] = []  # selector or condition, inside
    for rule in rules:
        head, body = _text(rule.prelude), ''
        if rule.type == 'at-rule':
            head = f'@{rule.at_keyword} {head}'.strip()
            if rule.content is None:
                out.append([head + ';', ''])
                continue
            if rule.lower_at_keyword in ('media', 'supports', 'layer', 'container'):
                inside = tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True)
                body = _rules(inside, words, variables)
            else:
                body = _text(rule.content)
        else:
            head = ','.join(_text(o) for o in _listed(rule.prelude) if _uses(o, words))
            body = _declarations(rule.content, variables) if head else ''
        together = rule.type != 'at-rule' and out and out[-1][1] == body and out[-1][0][0] != '@'
        if body and together and ':-' not in out[-1][0] + head:  # a browser drops a list with another's :-vendor-words
            out[-1][0] += f',{head}'
        elif body:
            out.append([head, body])
    return ''.join(f'{head}{{{body}}}' if body else head for head, body in out)


def slim_style(
    css: str,  # a sheet
    words: set[str],  # classes and ids that are in use
    variables: set[str],  # that are read, such as `--color-link`
) -> str:
    "A sheet without the rules for what is not there."
    return _rules(tinycss2.parse_stylesheet(css, skip_comments=True, skip_whitespace=True), words, variables)


# ---- pages

_pre = re.compile(r'<span class="pre">([^<]*)</span>')
_tabs = re.compile(r'<script\b[^>]*design-tabs\.js[^>]*></script>')
_drawing = re.compile(r'(?s)<(svg|math)\b.*?</\1>')
_closed = re.compile(r'<([\w-]+)((?:[^<>"]|"[^"]*")*?)/>')
_table = re.compile(r'''(?s)<table(?: class=['"]dataframe['"])?>.*?</table>''')
_aligned = re.compile(r''' style=(['"])text-align: ?(?:left|right);?\1''')
_begin = re.compile(r'<table[^>]*>')
_chevron = re.compile(r'(?s)(<svg[^>]*sd-octicon-chevron-right[^>]*>)(<path.*?)</svg>')
# what Sphinx writes around code and outputs, and what of it some rule of style asks for; site.js keeps translators away from code
_block = r'<div class="highlight">(<pre>)(?:<span></span>)?(.*?</pre>)\s*</div>\s*</div>'
SHORTER = (
    (
        re.compile(
            rf'(?s)(<div class="cell_input docutils container">\s*)<div class="highlight-[\w-]+ notranslate">{_block}'
        ),
        r'\1<div class="highlight">\2\3</div>',
    ),
    (re.compile(r'<div class="highlight-[\w-]+ notranslate">'), '<div class="highlight-">'),
    (re.compile(r'<div class="(output [\w ]+?) highlight-[\w-]+ notranslate">'), r'<div class="\1 highlight-">'),
    (re.compile(r'<div class="cell_(input|output) docutils container">'), r'<div class="cell_\1">'),
    (re.compile(r'<div class="cell ([^"]*?)docutils container">'), r'<div class="cell \1container">'),
    (re.compile(r'class="(?:xref py py-\w+ )?docutils literal notranslate"'), 'class="literal"'),
)


def slim_tables(html: str) -> str:
    "Tables of outputs that say for each cell where its text stands: `.num` and the class `l7-table` say it (site.css)."

    def one(m: re.Match) -> str:
        return (
            _begin.sub('<table class="l7-table">', _aligned.sub('', m[0]), count=1) if _aligned.search(m[0]) else m[0]
        )

    return _table.sub(one, html)


def slim_chevrons(html: str) -> str:
    "The arrow of folded entries, drawn once a page."
    found = _chevron.search(html)
    if found is None:
        return html
    arrow = found[2].replace('<path', '<path id="l7-chevron"', 1)
    html = _chevron.sub(r'\1<use href="#l7-chevron"></use></svg>', html)
    return re.sub(r'(<body[^>]*>)', rf'\1<svg style="display:none">{arrow}</svg>', html, count=1)


def slim_page(
    html: str,  # a page as Sphinx wrote it
    same: dict[str, str],  # of `same_marks`
) -> str:
    "A page that looks the same."
    html = _pre.sub(r'\1', slim_code(html, same))
    for long, short in SHORTER:
        html = long.sub(short, html)
    html = slim_chevrons(slim_tables(html))
    html = _drawing.sub(lambda m: _closed.sub(r'<\1\2></\1>', m[0]), html)  # the minifier drops the slash of <mspace/>
    if 'class="sd-tab' not in html:
        html = _tabs.sub('', html)
    return minify_html.minify(html, minify_js=False, minify_css=False, keep_html_and_head_opening_tags=True)


_index = re.compile(r'<script src="searchindex\.js[^"]*"[^>]*></script>')
_when_asked = """<script>if (new URLSearchParams(location.search).get('q')) {
  document.head.append(Object.assign(document.createElement('script'), {src: 'searchindex.js'}));
}</script>"""


def slim_search(
    html: str,  # the page of the search
) -> str:
    "The index is most of this page's weight: loaded when there is something to look for. Sphinx's program waits for it."
    html, n = _index.subn(lambda m: _when_asked, html)
    if n != 1:
        raise ValueError(
            f'search.html loads searchindex.js {n} times: this version of the theme is another, see slim_search'
        )
    return html


LISTS_OF_WORDS = ('searchindex.js', 'language_data.js')  # programs that hold the words of the pages
_name = re.compile(r'[\w-]+')
_read = re.compile(r'var\(\s*(--[\w-]+)')


def slim_site(
    html: Path,  # the folder that Sphinx wrote
) -> None:
    "Makes all pages, sheets and programs of a site smaller."
    words: set[str] = set()
    variables: set[str] = set()
    marks = html / '_static' / 'pygments.css'
    same = same_marks(marks.read_text(encoding='utf-8'))
    marks.write_text(slim_marks(marks.read_text(encoding='utf-8'), same), encoding='utf-8')
    search = html / 'search.html'
    search.write_text(slim_search(search.read_text(encoding='utf-8')), encoding='utf-8')
    for page in html.rglob('*.html'):
        text = slim_page(page.read_text(encoding='utf-8'), same)
        page.write_text(text, encoding='utf-8')
        variables.update(_read.findall(text))
        for o in re.findall(r'\b(?:class|id)=("[^"]*"|[^\s>]+)', text):
            words.update(o.strip('"').split())
    for program in html.rglob('*.js'):
        text = program.read_text(encoding='utf-8')
        if program.name not in LISTS_OF_WORDS:
            words.update(_name.findall(text))
        variables.update(_read.findall(text))
        if 'searchindex' not in program.name:
            program.write_text(rjsmin.jsmin(text), encoding='utf-8')
    for _ in range(3):  # a variable may be read by a rule, or by a variable, that is left out
        sheets = {o: o.read_text(encoding='utf-8') for o in (html / '_static').rglob('*.css')}
        read = variables.union(*[_read.findall(text) for text in sheets.values()])
        for sheet, text in sheets.items():
            sheet.write_text(slim_style(text, words, read), encoding='utf-8')
