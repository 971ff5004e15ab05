"""Makes nbs/images/hero.jpg, the picture at the top of the index page: `python docs/hero.py`.

It cuts the face out of nbs/images/photo_restorer.jpg, which the page on restoration models saves, so that both show the
same run of the same network."""

from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

IMAGES = Path(__file__).resolve().parent.parent / 'nbs' / 'images'
TILE = 256  # pixels of a tile of the sheet, in both directions
ROWS = 52, 334, 616  # where the tiles of the sheet begin: input, restored, original
COLUMNS = {'noise 15': 1, 'jpeg 20': 0}  # which columns of the sheet are shown
PART = 22, 12, 232, 172  # of a tile: left, upper, right, lower
BAR = 28  # height of a line of text
SCALE = 1.5


def main() -> None:
    sheet = Image.open(IMAGES / 'photo_restorer.jpg').convert('RGB')
    left, upper, right, lower = PART
    width, height = round((right - left) * SCALE), round((lower - upper) * SCALE)
    hero = Image.new('RGB', (3 * width, len(COLUMNS) * (height + BAR)), '#262626')
    draw, font = ImageDraw.Draw(hero), ImageFont.load_default(18)
    for row, (what, column) in enumerate(COLUMNS.items()):
        for i, (top, name) in enumerate(zip(ROWS, (f'degraded: {what}', 'restored', 'original'))):
            x = column * TILE
            tile = sheet.crop((x + left, top + upper, x + right, top + lower)).resize((width, height), Image.BICUBIC)
            at = i * width, row * (height + BAR)
            hero.paste(tile, (at[0], at[1] + BAR))
            draw.text((at[0] + 6, at[1] + 3), name, fill='white', font=font)
    hero.save(IMAGES / 'hero.jpg', quality=86)


if __name__ == '__main__':
    main()
