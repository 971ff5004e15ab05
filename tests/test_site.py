"""The documentation site, built and then read in a real browser, at the width of a desk and of a phone.

Needs `pip install -e ".[docs]"` and a Chromium (Debian: `apt-get install chromium`); without them it is skipped, and says why.
"""

import functools
import http.server
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parent.parent
FLAGS = [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--no-proxy-server',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--disable-dev-shm-usage',
    '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',  # what is elsewhere does not exist
]
PATIENCE = 120_000  # milliseconds; a machine may have other work
LOAD_ALL = '''Promise.all([...document.images].map(o => {
    o.loading = "eager"; return o.complete || new Promise(done => o.onload = o.onerror = done) }))'''
PHONE = dict(width=390, height=844)
DESK = dict(width=1280, height=900)
# one page of each kind, read once more: in a wide window, and by a phone's browser; template and style are the same on all others
KINDS = (
    'index.html',
    'try.html',
    'unet.html',
    'core/learner.html',
    'apps/panels.html',
    'results.html',
    'genindex.html',
)
BEFORE_A_CLICK = 400_000  # bytes that a page may load before it is used, pictures aside
BROWSERS = ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable')


def cannot():
    "Why the site cannot be read in a browser here, or ''."
    lack = [o for o in ('sphinx', 'myst_nb', 'furo', 'playwright') if find_spec(o) is None]
    if lack:
        return f'{", ".join(lack)} not installed: pip install -e ".[docs]"'
    return (
        ''
        if browser()
        else f'no browser: none of {", ".join(BROWSERS)} is installed (Debian: apt-get install chromium)'
    )


def browser():
    return next(filter(None, map(shutil.which, BROWSERS)), None)


class Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'  # a connection is used again

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64  # a browser knocks many times at once, and this machine may be busy


class Site:
    "A folder served on a free port of this machine, and a browser that reads it. Faults gather in `bad`."

    def __init__(self, folder):
        self.folder, self.bad, self.where = Path(folder).resolve(), [], ''
        self.pages = sorted(
            o.relative_to(self.folder).as_posix() for o in self.folder.rglob('*.html') if '_static' not in o.parts
        )
        self.ids, self.links = {}, []
        self.loaded, self.weights = [], {}  # addresses that were asked for; page -> bytes before it is used

    def __enter__(self):
        from playwright.sync_api import sync_playwright

        self.server = Server(('127.0.0.1', 0), functools.partial(Quiet, directory=str(self.folder)))
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.base = f'http://127.0.0.1:{self.server.server_address[1]}/'
        self.play = sync_playwright().start()
        self.browser = self.play.chromium.launch(executable_path=browser(), args=FLAGS)
        return self

    def __exit__(self, *args):
        self.browser.close()
        self.play.stop()
        self.server.shutdown()

    def fault(self, text):
        line = f'{self.where}: {text}'
        if line not in self.bad:
            self.bad.append(line)

    def is_ours(self, url):
        return url.startswith((self.base, 'data:', 'blob:'))

    def open(self, width, height, **kw):
        "A page of the browser that may ask nobody but us, and reports what goes wrong on it."
        ctx = self.browser.new_context(viewport=dict(width=width, height=height), **kw)
        ctx.set_default_timeout(PATIENCE)
        page = ctx.new_page()
        page.on('request', lambda r: self.loaded.append(r.url) if r.resource_type != 'image' else None)
        page.on('request', lambda r: None if self.is_ours(r.url) else self.fault(f'asks elsewhere for {r.url}'))
        page.on('console', lambda m: self.fault(f'console: {m.text}') if m.type in ('error', 'warning') else None)
        page.on('pageerror', lambda e: self.fault(f'script: {e}'))
        page.on(
            'requestfailed', lambda r: self.fault(f'not loaded: {r.url}') if r.failure != 'net::ERR_ABORTED' else None
        )  # aborted: we left the page first
        page.on('response', lambda r: self.fault(f'{r.status}: {r.url}') if r.status >= 400 else None)
        return page

    def visit(self, page, where):
        "Opens one page and looks at what is on it."
        self.where, self.loaded = where, []
        page.goto(self.base + where, wait_until='load')
        page.eval_on_selector_all('details', 'e => e.forEach(o => o.open = true)')
        page.evaluate(LOAD_ALL)
        for src in page.eval_on_selector_all('img', 'e => e.filter(o => !o.naturalWidth).map(o => o.src.slice(0, 90))'):
            self.fault(f'picture not drawn: {src}')
        for src in page.eval_on_selector_all(
            'article img:not([alt]), article img[alt=""]', 'e => e.map(o => o.src.slice(-60))'
        ):
            self.fault(f'picture without text: {src}')
        plain = page.eval_on_selector_all(
            '.math',
            'e => e.filter(o => !o.querySelector("math")?.getBoundingClientRect().width || /\\\\/.test(o.innerText)).length',
        )
        if plain:
            self.fault(f'{plain} formulas not typeset')
        raw = page.eval_on_selector_all('article p', 'e => e.filter(o => /^:::/.test(o.innerText)).length')
        if raw:
            self.fault('a raw ::: {…} on the page')
        cells = 'e => e.map(o => o.innerText).filter(o => /\\[[^\\]]+\\]\\([^)\\s]+\\)/.test(o))'
        for text in page.eval_on_selector_all('article td', cells):
            self.fault(f'a link in a table is not one: {text[:60]}')
        self.check_width(page)
        self.weights[where] = sum(self.bytes_loaded().values())

    def check_width(self, page):
        "The page is no wider than the window."
        over = page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')
        if over > 1:
            self.fault(f'{over} px wider than the window of {page.viewport_size["width"]}')

    def check_links(self):
        "Every link of the site to itself leads to a file, and its mark to something on it."
        for where, url in self.links:
            self.where, to = where, urlsplit(url)
            path, mark = unquote(to.path[1:]) or 'index.html', unquote(to.fragment)
            if not url.startswith(self.base):
                continue
            if path not in self.ids and not (self.folder / path).is_file():
                self.fault(f'dead link {path}')
            elif mark and path in self.ids and mark not in self.ids[path]:
                self.fault(f'dead anchor {path}#{mark}')

    def check_search(self, page, name, where):
        "Search finds a function, and the first hit leads to its entry, unfolded."
        self.where = 'search'
        page.goto(self.base + 'search.html?q=' + quote(name), wait_until='load')
        try:
            page.wait_for_selector('#search-results li a')
        except Exception:
            return self.fault(f'nothing found for {name}')
        hit = page.locator('#search-results li a').first.get_attribute('href')
        if not re.search(rf'{where}#.*{name}$', hit):
            self.fault(f'the first hit for {name} is {hit}, not its entry on {where}')
        page.wait_for_load_state('networkidle')  # the list of hits fetches a page for each
        page.goto(self.base + hit, wait_until='load')
        try:
            page.locator(f'[id="{hit.split("#")[1]}"]').wait_for(state='visible')
        except Exception:
            self.fault(f'the entry behind {hit} cannot be seen')

    def check_slider(self, page):
        "A slider that a notebook has saved turns its pictures by the keyboard, without a kernel."
        self.where, moved = 'slider', 0
        for where in self.pages:
            if not re.search('type="?range', (self.folder / where).read_text(encoding='utf-8')):
                continue
            page.goto(self.base + where, wait_until='load')
            for box in page.query_selector_all('.l7-widget:has(input[type=range]:not([disabled]))'):
                shown = 'e => e.findIndex(o => !o.hidden)'
                before = box.eval_on_selector_all('.w-stack > *', shown)
                box.query_selector('input').focus()
                page.keyboard.press('ArrowRight')
                if box.eval_on_selector_all('.w-stack > *', shown) == before:
                    self.fault(f'{where}: the slider moves and nothing follows')
                else:
                    moved += 1
        if not moved:
            self.fault('no slider that moves on any page')

    def first_view(self, page, where):
        "Opens a page; what it loads before it is used, pictures aside: path -> bytes."
        self.where, self.loaded = where, []
        page.goto(self.base + where, wait_until='networkidle')
        return self.bytes_loaded()

    def bytes_loaded(self):
        "What was loaded since `loaded` was emptied, pictures aside, those inside a page, too: path -> bytes."
        ours = {unquote(urlsplit(o).path[1:]) for o in self.loaded if o.startswith(self.base) and '/samples/' not in o}
        sizes = {o: (self.folder / o).stat().st_size for o in sorted(ours)}
        for o in sizes:
            if o.endswith('.html'):
                text = (self.folder / o).read_text(encoding='utf-8')
                sizes[o] -= sum(map(len, re.findall(r'data:image/[^"\')>\s]*', text)))
        return sizes

    def check_weights(self):
        "No page is heavy before it is used."
        heavy = sorted(self.weights, key=self.weights.get, reverse=True)
        print('bytes before a click:', *[f'{o} {self.weights[o]:,}' for o in heavy[:12]], sep='\n  ')
        for where in heavy:
            if self.weights[where] > BEFORE_A_CLICK:
                self.where = where
                self.fault(f'{self.weights[where]:,} bytes before a click, more than {BEFORE_A_CLICK:,}')

    def check_live(self, page, where='try.html', most=BEFORE_A_CLICK):
        "A page with live cells is light until one is used; then its network answers. tests/test_live.py tries all cells."
        early = self.first_view(page, where)
        if not page.locator('#live-count[data-cell]').count():
            return print(f'{where}: the live cells are still pictures here')
        print(f'{where}: {sum(early.values()):,} bytes before a click')
        if sum(early.values()) > most or any(o.endswith(('.wasm', '.onnx')) for o in early):
            self.fault(f'{sum(early.values()):,} bytes before a click: {early}')
        page.locator('#live-count').get_by_role('button', name='Next word').click()
        page.wait_for_function('document.getElementById("live-count").last')


def read_site(folder, search=('res_block', 'resnet_mnist.html'), pages=None):
    "Reads a built site in the browser: the list of faults, and a line on what was looked at."
    with Site(folder) as s:
        narrow, desk, phone = s.open(**PHONE), s.open(**DESK), s.open(**PHONE, is_mobile=True)
        for where in pages or s.pages:
            s.visit(narrow, where)
            s.ids[where] = set(narrow.eval_on_selector_all('[id]', 'e => e.map(o => o.id)'))
            s.links += [(where, u) for u in narrow.eval_on_selector_all('a[href]', 'e => e.map(o => o.href)')]
        for where in pages or [o for o in s.pages if o in KINDS]:
            s.visit(desk, where)
            s.visit(phone, where)
        if not pages:
            s.check_links()
            s.check_weights()
            s.check_search(desk, *search)
            s.check_slider(desk)
            s.check_live(desk)
        return s.bad, f'{len(pages or s.pages)} pages, {len(set(s.links))} links'


def planted(site, tmp, page='index.html'):
    """What is reported when a page gets a dead link, a dead anchor, a missing picture, a request elsewhere, an
    error, a bare formula, a link in a table that is none, something wider than a phone."""
    copy = Path(tmp) / 'planted'
    copy.mkdir()
    for o in ('_static', '_images'):
        (copy / o).symlink_to(site / o)
    body = (
        '<p><a href="no-such-page.html">1</a><a href="#no-such-place">2</a><img src="no-such.png" alt="3">'
        '<span class="math">4</span></p><table><tr><td>[5](no-such.html)</td></tr></table>'
        '<script src="https://example.org/6.js"></script><script>noSuchFunction()</script>'
    )
    text = (site / page).read_text(encoding='utf-8')
    text = text.replace('</article>', body + '</article>', 1)
    text += '<div style="width: 700px">7</div>'
    (copy / page).write_text(text, encoding='utf-8')
    with Site(copy) as s:
        p = s.open(**PHONE)
        s.visit(p, page)
        s.ids[page] = set(p.eval_on_selector_all('[id]', 'e => e.map(o => o.id)'))
        s.links = [(page, u) for u in p.eval_on_selector_all('article p a[href*="no-such"]', 'e => e.map(o => o.href)')]
        s.check_links()
        return s.bad


def check(folder):
    "All faults of a built site, and whether the test itself still sees faults."
    bad, said = read_site(folder)
    with tempfile.TemporaryDirectory() as tmp:
        found = planted(Path(folder).resolve(), tmp)
    print(said, 'planted faults are seen as:', *found, sep='\n  ')
    for o in (
        'dead link no-such-page',
        'dead anchor index.html#no-such-place',
        'picture not drawn',
        'asks elsewhere for https://example.org',
        'noSuchFunction',
        'not typeset',
        'a link in a table is not one',
        'wider than the window of 390',
    ):
        if not any(o in f for f in found):
            bad.append(f'the test is blind: a planted fault was not seen ({o})')
    return bad


def test_site(tmp_path):
    "The site is built without a warning, and every page is read without a fault."
    if why := cannot():
        pytest.skip(why)
    command = [sys.executable, 'docs/build.py', '--out', str(tmp_path / 'site')]
    r = subprocess.run(command, cwd=ROOT, text=True, capture_output=True)
    assert r.returncode == 0, r.stdout + r.stderr
    bad = check(tmp_path / 'site')
    assert not bad, '\n'.join(bad)


def test_slim():
    "Rules for what no page has are left out, and nothing else; marks of code that look alike get one name; text stays."
    pytest.importorskip('tinycss2', reason='tinycss2 is not installed: pip install -e ".[docs]"')
    pytest.importorskip('minify_html', reason='minify-html is not installed: pip install -e ".[docs]"')
    sys.path.insert(0, str(ROOT / 'docs'))
    import slim

    css = """/* a */ .used, .lost { color : red ; --lost: 1px; --read: "a  b" } #lost p { top: 0 } p:not(.lost) > i { color: red }
        @media print { .lost { top: 0 } } @media (width > 3px) { :is(.lost, .used) b { top: var(--read) !important } }
        :where(.lost) { top: 0 } q { color: red } @font-face { font-family: f; src: url("x y.woff") }"""
    assert slim.slim_style(css, {'used'}, {'--read'}) == (
        '.used{color:red;--read:"a  b"}p:not(.lost) > i{color:red}'
        + '@media (width > 3px){:is(.lost, .used) b{top:var(--read)!important}}q{color:red}'
        + '@font-face{font-family: f; src: url("x y.woff")}'
    )
    assert slim.slim_style('a { top: 0 } b { top: 0 }', set(), set()) == 'a,b{top:0}'
    assert slim.slim_style('a { top: 0 } b::-moz-x { top: 0 }', set(), set()) == 'a{top:0}b::-moz-x{top:0}'
    sheet = '.highlight .k { top: 0 } /* Keyword */ .highlight .kn { top: 0 } .highlight .nf { top: 1px } .highlight .mi { top: 2px }'
    same = slim.same_marks(sheet + 'body .highlight .kn { top: 3px }')
    assert same == dict(k='k', kn='kn', nf='nf', mi='mi')  # alike by day, not by night
    same = slim.same_marks(sheet)
    assert same == dict(k='k', kn='k', nf='nf', mi='mi')
    assert (
        slim.slim_marks(sheet, same).split()
        == '.highlight b{ top: 0 } .highlight .nf{ top: 1px } .highlight i{ top: 2px }'.split()
    )
    code = '<div class="highlight"><pre><span class="kn">from</span> <span class="nn">a</span> <span class="mi">1</span> <span class="nf">s</span></pre>'
    assert slim.slim_code(code, same).endswith('<pre><b>from</b> a <i>1</i> <i class=nf>s</i></pre>')
    with pytest.raises(ValueError, match='loads searchindex.js 0 times'):
        slim.slim_search('<p>another theme</p>')
