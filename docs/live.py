"""Live cells: on a lesson's page, and together on *Try it*, the lesson's own network runs in the reader's browser.

`build.py` puts them on the pages. What they need comes from three places: ONNX Runtime Web from npm, the networks in ONNX's format from
`weights/`, sample pictures from the library. Where the runtime or a network is missing, the page shows a still picture of the cell
instead. `python docs/live.py` fetches the runtime ahead of a build.
"""

import argparse
import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import contextmanager
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path[:0] = [str(HERE), str(ROOT)]


class Cell(NamedTuple):
    "What a page says about a live cell. Its program is in `_static/live`, and begins in `live.js` there."

    title: str
    lead: str  # what to do, one or two sentences
    pages: tuple[str, ...]  # the lessons that show it
    still: str  # what the still picture shows, for those who do not see it


CELLS: dict[str, Cell] = dict(
    digits=Cell(
        'Draw a digit',
        'Draw with the mouse, a finger, or the keyboard: arrow keys move the pen, the space bar puts it down and lifts it.',
        ('resnet_mnist',),
        'A digit drawn by hand, and the probabilities that the network gives to the ten digits',
    ),
    streets=Cell(
        'A class for every pixel of a street',
        'Take one of the library’s drawn streets or a picture of your own, and lay the classes over it. '
        'The network has seen drawn streets only: on a photograph it guesses.',
        ('unet',),
        'A street, the classes of its pixels as coloured areas over it, and a legend of the colours',
    ),
    photo=Cell(
        'Restore a photo',
        'Choose, drop or paste a photo, damage it or take it as it is, and let the network restore it. '
        'Nothing is uploaded: the photo stays in your browser.',
        ('crappify_gan', 'feature_loss'),
        'A portrait: damaged at the left, restored at the right',
    ),
    count=Cell(
        'Let it count on',
        'The network reads three numbers and says the next word, again and again. It has read the numbers up to 7,999.',
        ('human_numbers_rnn',),
        'Numbers in words that the network has counted, and the probabilities of the next word',
    ),
    nietzsche=Cell(
        'Let it write on',
        'The network draws one character after the other. A low temperature keeps to the likeliest, a high one takes risks.',
        ('char_rnn',),
        'A text that begins as given and goes on as the network has written it',
    ),
    cifar10=Cell(
        'What is in the picture?',
        'The picture is made as small as those of CIFAR-10, 32 by 32 pixels, and sorted into one of ten classes. '
        'Then a grey square covers it place by place: the heatmap is red where that costs a class most. '
        'The network learnt from photographs; our samples are drawings.',
        ('cifar10_from_scratch', 'transfer_cam'),
        'A small picture with a heatmap over it, and the probabilities that the network gives to ten classes',
    ),
)
NO_SCRIPT = 'This is a still picture. On a web server, and with JavaScript, the cell is alive.'
NO_MODEL = 'This is a still picture: the site was built without what the live cell needs.'


class Missing(Exception):
    "Something that live cells need is not there; the text says what."


# ---- the runtime

PACKAGE = 'onnxruntime-web@1.30.0'
INTEGRITY = 'sha512-q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=='  # npm's
RUNTIME_FILES = ('ort.wasm.bundle.min.mjs', 'ort-wasm-simd-threaded.wasm')
CACHE = ROOT / '.lesson7' / 'live'  # between builds; not part of the project


def has_integrity(
    file: Path,  # a package of npm
    integrity: str = INTEGRITY,  # as `npm view PACKAGE dist.integrity` prints it
) -> bool:
    "Is this the package that was meant, bit by bit?"
    method, _, expected = integrity.partition('-')
    return base64.b64encode(hashlib.new(method, file.read_bytes()).digest()).decode() == expected


def fetch_runtime(
    cache: Path = CACHE,  # where the package is kept
) -> Path:  # the package, checked
    "ONNX Runtime Web, from an earlier build or from npm. Raises `Missing`."
    kept = cache / (PACKAGE.replace('@', '-') + '.tgz')
    if kept.is_file() and has_integrity(kept):
        return kept
    if not (npm := shutil.which('npm')):
        raise Missing(f'npm is not installed, so {PACKAGE} could not be fetched')
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as tmp:
        command = [npm, 'pack', PACKAGE, '--silent', '--pack-destination', tmp, '--fetch-retries', '1']
        try:
            r = subprocess.run(command, text=True, capture_output=True, timeout=300)
        except subprocess.TimeoutExpired:
            raise Missing(f'npm did not fetch {PACKAGE} within 300 s') from None
        fetched = next(Path(tmp).glob('*.tgz'), None)
        if r.returncode or fetched is None:
            why = (r.stderr.strip() or r.stdout.strip() or 'no reason given').splitlines()[-1]
            raise Missing(f'npm could not fetch {PACKAGE}: {why}')
        if not has_integrity(fetched):
            raise Missing(f'what npm fetched is not {PACKAGE} with the checksum in docs/live.py')
        fetched.replace(kept)
    return kept


def stage_runtime(
    dest: Path,  # the folder `_static/live` of the pages
) -> None:
    "Puts the two files of the runtime beside the cells' program. Raises `Missing`."
    with tarfile.open(fetch_runtime()) as package:
        for name in RUNTIME_FILES:
            with package.extractfile(f'package/dist/{name}') as source, (dest / name).open('wb') as target:
                shutil.copyfileobj(source, target)


# ---- the program


def stage_parts(
    dest: Path,  # the folder `_static/live` of the pages
) -> None:
    "Writes the parts of cells that the page of `lesson7_demo` has, too, as a module."
    text = (ROOT / 'lesson7_lib' / 'apps' / 'live_parts.js').read_text(encoding='utf-8')
    names = re.findall(r'(?m)^(?:async )?(?:function|const) (\w+)', text)
    (dest / 'parts.js').write_text(f'{text}\nexport {{ {", ".join(names)} }};\n', encoding='utf-8')


# ---- the networks


def stage_models(
    dest: Path,  # folder for a folder of each network
    made: Path,  # folder with folders of exported networks: `model.onnx` and `model.json`
) -> dict[str, dict[str, Any]]:  # name of a cell -> what is said about its network
    "Copies the networks of the cells. One that is not there is left out."
    cards = {}
    for name in CELLS:
        source = made / name
        if not (source / 'model.onnx').is_file():
            continue
        card = json.loads((source / 'model.json').read_text(encoding='utf-8'))
        card['bytes'] = (source / 'model.onnx').stat().st_size  # for the bar while it is loaded
        (dest / name).mkdir(parents=True)
        shutil.copy2(source / 'model.onnx', dest / name)
        (dest / name / 'model.json').write_text(json.dumps(card), encoding='utf-8')
        cards[name] = card
    return cards


EXPORTER = HERE / 'weights.py'
EXPORTED_FROM = ('docs/weights.py', 'lesson7_lib/apps/onnx.py', 'weights', 'lesson7_lib/weights')  # files and folders


def _digest(paths):
    "A short name for the contents of files and folders."
    res = hashlib.sha256()
    for path in (ROOT / o for o in paths):
        for file in sorted([path] if path.is_file() else path.rglob('*')):
            if file.is_file():
                res.update(file.relative_to(ROOT).as_posix().encode() + hashlib.sha256(file.read_bytes()).digest())
    return res.hexdigest()[:16]


@contextmanager
def _alone(lock):
    "Waits until no other build of this checkout is at the same place."
    with lock.open('w') as f:
        try:
            import fcntl

            fcntl.flock(f, fcntl.LOCK_EX)
        except ImportError:  # Windows has none: two builds at once would do the work twice
            pass
        yield


def exported_models(
    cache: Path = CACHE,  # where they are kept
) -> Path:  # a folder with a folder of each network
    "The networks in ONNX's format: those of an earlier build, as long as nothing has changed. Raises `Missing`."
    if given := os.environ.get('LESSON7_LIVE_MODELS'):  # a folder of exported networks, to try others
        return Path(given)
    if not EXPORTER.is_file():
        raise Missing('docs/weights.py, which exports the networks, is not there')
    kept = cache / f'models-{_digest(EXPORTED_FROM)}'
    if kept.is_dir():
        return kept
    cache.mkdir(parents=True, exist_ok=True)
    with _alone(cache / 'lock'), tempfile.TemporaryDirectory(dir=cache) as tmp:
        if kept.is_dir():  # another build has made them while this one waited
            return kept
        made = Path(tmp) / 'models'
        r = subprocess.run([sys.executable, str(EXPORTER), '--onnx', str(made)], text=True, capture_output=True)
        if r.returncode:
            why = (r.stderr.strip() or r.stdout.strip() or 'no reason given').splitlines()[-1]
            raise Missing(f'the networks could not be exported: {why}')
        made.rename(kept)
    return kept


def stage_samples(
    dest: Path,  # the folder to make
) -> None:
    "The pictures that the cells begin with, made by the library; the portrait comes with matplotlib and is in the public domain."
    import matplotlib
    import PIL.Image

    from lesson7_lib.synth.pets import draw_pet
    from lesson7_lib.synth.streets import draw_street

    dest.mkdir(parents=True)
    for i, seed in enumerate(([42, 2, 3], [42, 2, 7], [42, 2, 12])):
        PIL.Image.fromarray(draw_street(seed, (240, 320))[0]).save(dest / f'street_{i}.jpg', quality=95)
    for i, breed in enumerate(('Siamese', 'beagle', 'Bombay')):
        PIL.Image.fromarray(draw_pet(breed, i, (160, 160))[0]).save(dest / f'object_{i}.png', optimize=True)
    portrait = Path(matplotlib.get_data_path()) / 'sample_data' / 'grace_hopper.jpg'
    with PIL.Image.open(portrait) as im:
        im.convert('RGB').resize((512, 608)).crop((0, 0, 512, 480)).save(dest / 'portrait.jpg', quality=92)


def stage_live(
    static: Path,  # the folder `_static` of the pages, with the cells' program
    tell: Callable[[str], Any] = print,  # is told in one line what is missing
) -> dict[str, dict[str, Any]]:  # name of a cell that can live -> what is said about its network
    "Everything that live cells need, on its place. What is missing is said, and no reason to stop."
    live = static / 'live'
    try:
        stage_runtime(live)
        stage_parts(live)
        cards = stage_models(live / 'models', exported_models())
        stage_samples(live / 'samples')
    except Missing as e:
        tell(f'live cells are still pictures: {e}')
        return {}
    if lack := [o for o in CELLS if o not in cards]:
        tell(f'live cells that are still pictures, for want of a network: {", ".join(lack)}')
    return cards


# ---- what stands on a page


def about_model(
    card: dict[str, Any],  # of `stage_live`
) -> str:  # HTML, one line
    "Where a network comes from, and how well it does."
    c = {k: v for k, v in (card['card'] or {}).items() if v is not None}
    data = re.sub(r',? *https?://[^\s,]+', '', c.get('data', ''))  # the way to the data is on the lesson's page
    facts = [
        f'{c["metric"]} {c["score"]:.4g}' if 'score' in c else '',
        f'seed {c["seed"]}' if 'seed' in c else '',
        c.get('date', ''),
    ]
    size = card['bytes']
    parts = [
        f'Trained on {data} ({c.get("licence")})' if data else '',
        f'experiment {c["experiment"]}' if 'experiment' in c else '',
        ', '.join(o for o in facts if o),
        f'{size / 1e6:.1f} MB' if size >= 1e5 else f'{size / 1e3:.0f} kB',
        'runs in ONNX Runtime Web, 14 MB that are loaded once, when you use a cell',
    ]
    return escape(' · '.join(o for o in parts if o))


def cell_html(
    name: str,  # one of `CELLS`
    card: dict[str, Any] | None,  # what is said about its network; None: there is none, the picture stays a still one
    up: str = '',  # the way from the page to the site's first folder, such as '../'
    titled: bool = True,  # with its title? False: it stands under a heading that is the title
) -> str:  # without empty lines
    "The frame of a live cell: what is there without JavaScript, and where the program puts the rest."
    cell, live = CELLS[name], card is not None
    picture = f'<img src="{up}_static/live/stills/{name}.png" alt="{escape(cell.still)}" loading="lazy">'
    still = f'<figure class="live-still">{picture}<figcaption>{NO_SCRIPT if live else NO_MODEL}</figcaption></figure>'
    head = f'<section class="live" id="live-{name}" aria-label="{escape(cell.title)}"' + (
        f' data-cell="{name}">' if live else '>'
    )
    lines = [
        head,
        f'<p class="live-title">Try it: {escape(cell.title[0].lower() + cell.title[1:])}</p>' if titled else '',
        f'<p class="live-lead">{escape(cell.lead)}</p>',
        f'<noscript>{still}</noscript>' if live else still,
    ]
    lines += [f'<link rel="stylesheet" href="{up}_static/live/live.css">']
    if live:
        known = {k: v for k, v in card.items() if k not in ('mean', 'std', 'card') and v is not None}
        lines += [
            f'<p class="live-about">{about_model(card)}</p>',
            f'<script type="application/json">{json.dumps(known).replace("<", chr(92) + "u003c")}</script>',
            f'<script type="module" src="{up}_static/live/live.js"></script>',
        ]
    return '\n'.join(o for o in [*lines, '</section>'] if o)


def _raw(html):
    return f'```{{raw}} html\n{html}\n```'


def live_markdown(
    page: str,  # name of a page
    cards: dict[str, Any],  # of `stage_live`
) -> str:  # markdown; '' for a page without a cell
    "The live cells of a lesson's page."
    up = '../' * page.count('/')
    return '\n\n'.join(_raw(cell_html(k, cards.get(k), up)) for k, v in CELLS.items() if page in v.pages)


def try_page(
    cards: dict[str, Any],  # of `stage_live`
    titles: dict[str, str],  # page -> title
) -> str:  # markdown
    "The page *Try it*: all cells together."
    parts = [
        '# Try it',
        '*The networks that the lessons train, running in your browser.*',
        'Each cell loads its network, and once the runtime, when you first use it. Pictures and texts stay on your machine; '
        'no other computer is asked for anything.',
    ]
    for name, cell in CELLS.items():
        lessons = ', '.join(f'[{titles[o]}](/{o}.ipynb)' for o in cell.pages if o in titles)
        parts += [
            f'## {cell.title}',
            _raw(cell_html(name, cards.get(name), titled=False)),
            f'{{.l7-bar}}\nThe lesson: {lessons}',
        ]
    return '\n\n'.join(parts) + '\n'


def write_page(
    dest: Path,  # a new folder
) -> Path:  # the page
    "One page with all cells in the site's style, without Sphinx: for work on the cells, and for the test."
    import furo

    static = dest / '_static'
    shutil.copytree(HERE / '_static', static)
    style = Path(furo.__file__).parent / 'theme' / 'furo' / 'static' / 'styles' / 'furo.css'
    shutil.copy2(style, static)
    cards = stage_live(static)
    head = '<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Live cells</title>'
    links = ''.join(f'<link rel="stylesheet" href="_static/{o}">' for o in ('furo.css', 'site.css'))
    icon = '<link rel="icon" href="_static/logo.svg">'
    cells = '\n'.join(cell_html(o, cards.get(o)) for o in CELLS)
    body = f'<article style="max-width: 52em; margin: auto; padding: 0 1em">\n<h1>Live cells</h1>\n{cells}\n</article>'
    page = dest / 'index.html'
    page.write_text(
        f'<!doctype html><html lang="en"><head>{head}{icon}{links}</head><body>{body}</body></html>', encoding='utf-8'
    )
    return page


def main(
    args: list[str] | None = None,  # words; None: those of the command line
) -> int:  # exit status: 0 done, 2 not
    "Fetches the runtime for later builds, or writes a page with all cells."
    p = argparse.ArgumentParser(description='Fetch what live cells need ahead of a build.')
    p.add_argument(
        '--page', metavar='FOLDER', help='write a page with all cells into this new folder instead, without Sphinx'
    )
    folder = p.parse_args(args).page
    try:
        print(f'{write_page(Path(folder))} written' if folder else f'{fetch_runtime()} is there')
    except Missing as e:
        print(f'live.py: {e}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
