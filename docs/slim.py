"""What the built pages need not carry: marks of code that have no colour, rules of style for what no page has, ends of tags."""

import re
from pathlib import Path

import minify_html
import rjsmin

# Pygments marks every name, bracket, operator and space, most of them in the colour of plain text; operators are nearly so.
PLAIN = ('n', 'p', 'o', 'w')
_code = re.compile(r'(?s)<div class="highlight">.*?</pre>')
_plain = re.compile(rf'<span class="(?:{"|".join(PLAIN)})">([^<]*)</span>')
_mark = re.compile(r'<span class="([a-z0-9]{1,2})">([^<]*)</span>')


def slim_code(
    html: str,  # a page
) -> str:
    "A page whose code has only the marks that are seen, each as a short element (site.css keeps it upright)."

    def one(m: re.Match) -> str:
        return _mark.sub(r'<i class=\1>\2</i>', _plain.sub(r'\1', m[0]))

    return _code.sub(one, html)


_name = re.compile(r'[.#]((?:[\w-]|\\.)+)')
_word = re.compile(r'[\w-]+')


def is_used(
    selector: str,  # one, without commas
    words: set[str],  # all that the pages and programs have
) -> bool:
    "Can this selector be for anything? `:not(…)` does not count."
    plain = re.sub(r':not\([^)]*\)', '', selector)
    return all(o.replace('\\', '') in words for o in _name.findall(plain))


def slim_style(
    css: str,  # a sheet
    words: set[str],  # classes and ids that are in use
) -> str:
    "A sheet without the rules for what is not there."
    css = re.sub(r'(?s)/\*.*?\*/', '', css)
    out, at = [], 0
    while (start := css.find('{', at)) >= 0:
        head = css[at:start].strip()
        if '}' in head:  # the end of what @media began
            ends, head = head.rsplit('}', 1)
            out.append('}' * (ends.count('}') + 1))
            head = head.strip()
        if ';' in head and head.startswith('@'):  # @charset, @import
            first, head = head.rsplit(';', 1)
            out.append(first + ';')
            head = head.strip()
        if head.startswith(('@media', '@supports', '@layer', '@container')):
            out.append(head + '{')
            at = start + 1
            continue
        end, depth = start + 1, 1
        while depth:
            depth += {'{': 1, '}': -1}.get(css[end], 0)
            end += 1
        body, at = css[start:end], end
        if not head.startswith('@'):
            head = ','.join(o for o in re.split(r',(?![^(]*\))', head) if is_used(o, words))
        if head:
            out.append(head + re.sub(r'\s*\n\s*', '', body))
    return re.sub(r'@[a-z][^{}]*\{\}', '', ''.join(out) + css[at:].strip())


_pre = re.compile(r'<span class="pre">([^<]*)</span>')
_tabs = re.compile(r'<script src="[^"]*design-tabs.js[^"]*"></script>')


_drawing = re.compile(r'(?s)<(svg|math)\b.*?</\1>')
_closed = re.compile(r'<([\w-]+)((?:[^<>"]|"[^"]*")*?)/>')


def slim_page(
    html: str,  # a page as Sphinx wrote it
) -> str:
    "A page that looks the same."
    html = _pre.sub(r'\1', slim_code(html))
    html = _drawing.sub(lambda m: _closed.sub(r'<\1\2></\1>', m[0]), html)  # the minifier drops the slash of <mspace/>
    if 'sd-tab' not in html:
        html = _tabs.sub('', html)
    return minify_html.minify(html, minify_js=False, minify_css=False, keep_html_and_head_opening_tags=True)


def slim_site(
    html: Path,  # the folder that Sphinx wrote
) -> None:
    "Makes all pages, sheets and programs of a site smaller."
    words: set[str] = set()
    for page in html.rglob('*.html'):
        text = slim_page(page.read_text(encoding='utf-8'))
        page.write_text(text, encoding='utf-8')
        for o in re.findall(r'\b(?:class|id)=("[^"]*"|[^\s>]+)', text):
            words.update(o.strip('"').split())
    for program in html.rglob('*.js'):
        text = program.read_text(encoding='utf-8')
        words.update(_word.findall(text))
        if 'searchindex' not in program.name:
            program.write_text(rjsmin.jsmin(text), encoding='utf-8')
    for sheet in (html / '_static').rglob('*.css'):
        sheet.write_text(slim_style(sheet.read_text(encoding='utf-8'), words), encoding='utf-8')
