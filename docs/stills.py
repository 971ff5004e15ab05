"""The still pictures of the live cells, for readers without JavaScript: `python docs/stills.py` uses each cell and takes its picture.

Needs what `tests/test_live.py` needs. To be run again when a cell or its network looks different.
"""

import sys
import tempfile
from pathlib import Path

import PIL.Image

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / 'tests'), str(HERE.parent)]
WIDTH = 760  # of the window, in pixels; the picture of a cell is a little narrower


def use(
    cell,  # `Cell` of tests/test_live.py
) -> None:
    "Uses a cell as its reader would."
    from test_live import DIGITS, draw

    if cell.name == 'digits':
        draw(cell, DIGITS[2])
        cell.says('reads')
    elif cell.name == 'streets':
        cell.click('Find the classes')
        cell.says('classes on')
    elif cell.name == 'photo':
        cell.click('Restore')
        cell.says('Restored')
    elif cell.name == 'count':
        cell.click('Count on')
        cell.says('numbers right')
    elif cell.name == 'nietzsche':
        cell.slide('Temperature', 0.5)
        cell.click('Write')
        cell.says('Three hundred')
    elif cell.name == 'cifar10':
        cell.click('What is it?')
        cell.says('ten classes')


def main() -> None:
    "The command."
    from live import CELLS, write_page
    from test_live import Cell
    from test_site import Site

    stills = HERE / '_static' / 'live' / 'stills'
    stills.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as tmp:
        folder = Path(tmp) / 'page'
        write_page(folder)
        with Site(folder) as site:
            page = site.open(width=WIDTH, height=900)
            page.goto(site.base, wait_until='networkidle')
            for name in CELLS:
                if not page.locator(f'#live-{name}[data-cell]').count():
                    print(f'{name}: has no network, so its picture stays as it was')
                    continue
                cell = Cell(page, folder, name)
                cell.box.scroll_into_view_if_needed()
                page.wait_for_load_state('networkidle')
                use(cell)
                file = stills / f'{name}.png'
                cell.box.locator('.live-body').screenshot(path=file)
                with PIL.Image.open(file) as im:  # few colours are enough, and far fewer bytes
                    im.convert('RGB').quantize(96).save(file, optimize=True)
                print(f'{file.relative_to(HERE.parent)}: {file.stat().st_size:,} bytes')


if __name__ == '__main__':
    main()
