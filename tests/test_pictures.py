"""Picture in, picture out: whatever Pillow can open comes back with its size, mode, pixels and metadata; and a picture is the
same to a model whether it comes as a path, an open file, a Pillow picture or an array."""

import io
import warnings

import numpy as np
import PIL.features
import PIL.Image
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import ImageOps
from torch import nn

from lesson7_lib.apps.restore import restore
from lesson7_lib.core.learner import Learner
from lesson7_lib.vision.image_data import ImageDataBunch, ImageList
from lesson7_lib.vision.metadata import read_metadata
from lesson7_lib.vision.photo import decode_image, open_photo, save_photo

few = settings(
    max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
# ending → modes that Pillow writes in it, settings of `save`
KINDS = {
    'png': (['1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'I;16'], [{}]),
    'jpg': (['L', 'RGB', 'CMYK'], [{}, {'progressive': True}]),
    'webp': (['RGB', 'RGBA'], [{'lossless': True}]),
    'tif': (
        ['1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'CMYK', 'I', 'I;16', 'F'],
        [{'compression': o} for o in ('raw', 'tiff_lzw', 'tiff_adobe_deflate', 'packbits')],
    ),
    'bmp': (['1', 'L', 'P', 'RGB'], [{}]),
    'tga': (['L', 'LA', 'RGB', 'RGBA'], [{}, {'compression': 'tga_rle'}]),
    'ppm': (['1', 'L', 'RGB', 'I'], [{}]),
    'jp2': (['L', 'LA', 'RGB', 'RGBA'], [{}]),
}
EXACT = ('png', 'webp', 'tif', 'bmp', 'tga', 'ppm', 'jp2')
MODES = {'1': 'L', 'P': 'RGB', 'CMYK': 'RGB'}  # what comes back, where it is another mode
WHITE = {'I': 65535}  # the number that means white, where the type of the numbers does not say it
HOLDS_EXIF = ('png', 'jpg', 'webp', 'tif')
HOLDS_DPI = ('png', 'jpg', 'tif', 'bmp')

words = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters='\x7f'), min_size=1, max_size=9)


def paint(mode: str, size: tuple[int, int], seed: int) -> PIL.Image.Image:
    "Random pixels of a mode."
    rng = np.random.default_rng(seed)
    w, h = size
    if mode == 'F':
        return PIL.Image.fromarray(rng.random((h, w), dtype=np.float32))
    if mode == 'I;16':
        return PIL.Image.fromarray(rng.integers(0, 65536, (h, w), dtype=np.uint16))
    if mode == 'I':
        return PIL.Image.fromarray(rng.integers(0, 65536, (h, w), dtype=np.int32))
    colours = PIL.Image.fromarray(rng.integers(0, 256, (h, w, 4), dtype=np.uint8), 'RGBA')
    if mode == 'P':
        return colours.convert('RGB').quantize(16)
    return colours.convert(mode) if mode in ('LA', 'RGBA') else colours.convert('RGB').convert(mode)


@st.composite
def files(draw) -> tuple[str, str, bytes, dict]:
    "Ending, mode and bytes of a picture file; and what it holds beside the pixels."
    end = draw(st.sampled_from(sorted(KINDS)))
    modes, options = KINDS[end]
    mode = draw(st.sampled_from(modes))
    options = dict(draw(st.sampled_from(options)))
    size = draw(st.tuples(st.integers(1, 9), st.integers(1, 9)))
    held = dict(options)
    if end in HOLDS_EXIF and draw(st.booleans()):
        exif = PIL.Image.Exif()
        held['artist'] = draw(words)
        exif[0x013B] = held['artist'].encode('latin-1')
        held['orientation'] = draw(st.integers(1, 8))
        exif[0x0112] = held['orientation']
        if end != 'tif':  # Pillow writes camera settings into uncompressed TIFF files only
            held['date'] = '2020:01:01 12:00:00'
            exif[0x8769] = {0x9003: held['date'], 0x9286: b'ASCII\0\0\0comment'}
        options['exif'] = exif
    if end in HOLDS_EXIF and draw(st.booleans()):
        options['icc_profile'] = held['icc_profile'] = draw(st.binary(min_size=4, max_size=40))
    if end in HOLDS_DPI and draw(st.booleans()):
        options['dpi'] = held['dpi'] = (draw(st.integers(1, 999)), draw(st.integers(1, 999)))
    out = io.BytesIO()
    form = PIL.Image.registered_extensions()[f'.{end}']
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        paint(mode, size, draw(st.integers(0, 99))).save(out, form, **options)
    return end, mode, out.getvalue(), held


def check_held(im: PIL.Image.Image, held: dict, mode: str) -> None:
    "Is everything in the file that was in the first one, and nothing else?"
    exif = im.getexif()
    assert exif.get(0x013B) == held.get('artist')
    assert exif.get(0x0112) is None, 'the orientation is applied already'
    assert exif.get_ifd(0x8769).get(0x9003) == held.get('date')
    if 'artist' not in held and im.format != 'TIFF':
        assert 'exif' not in im.info, 'EXIF data that were not there'
    profile = None if mode == 'CMYK' else held.get('icc_profile')
    assert im.info.get('icc_profile') == profile
    if 'dpi' in held:
        assert np.allclose(np.array(im.info['dpi'], float), held['dpi'], atol=0.5)
    if 'compression' in held:
        assert im.info['compression'] == held['compression']
    assert bool(im.info.get('progressive')) == held.get('progressive', False)


@given(files())
@few
def test_in_and_out(tmp_path, file):
    "A network that changes nothing changes nothing: pixels, size, mode, metadata, compression."
    end, mode, data, held = file
    src, dst = tmp_path / f'in.{end}', tmp_path / f'out.{end}'
    src.write_bytes(data)
    back = restore(src, nn.Identity(), white=WHITE.get(mode))
    lost = save_photo(back, dst, durable=False)
    first = ImageOps.exif_transpose(PIL.Image.open(src))
    with PIL.Image.open(dst) as new:
        assert new.size == first.size
        assert new.mode == MODES.get(first.mode, first.mode)
        check_held(new, held, mode)
        if end in EXACT:
            assert (np.asarray(new) == np.asarray(first.convert(new.mode))).all()
        inks = ['CMYK colours: RGB is left'] if mode == 'CMYK' else []
        profile = ['colour profile, which is one for CMYK'] if inks and 'icc_profile' in held else []
        assert lost == inks + profile


def test_deep_grey_of_a_pgm_file(tmp_path):
    "Pillow opens it with 32 bits a pixel, and a copy does not know its format: white is 65535 all the same."
    px = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1365
    (tmp_path / 'in.pgm').write_bytes(b'P5 8 6 65535\n' + px.astype('>u2').tobytes())
    assert save_photo(restore(tmp_path / 'in.pgm', nn.Identity()), tmp_path / 'out.pgm') == []
    assert (np.asarray(PIL.Image.open(tmp_path / 'out.pgm')) == px).all()


@given(files())
@few
def test_usual_save(tmp_path, file):
    "By `restore(PIL.Image.open(…), …).save(…)` too, into the same format."
    end, mode, data, held = file
    back = restore(PIL.Image.open(io.BytesIO(data)), nn.Identity(), white=WHITE.get(mode))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        back.save(tmp_path / f'out.{end}')
    with PIL.Image.open(tmp_path / f'out.{end}') as new:
        check_held(new, held, mode)
    assert bool(said) == (mode == 'CMYK' and 'icc_profile' in held)


@given(files(), st.sampled_from(['jpg', 'png', 'tif', 'webp', 'avif', 'bmp', 'jp2']))
@few
def test_other_format(tmp_path, file, end):
    "Into another format: what cannot be kept is in the list of what was lost."
    _, mode, data, held = file
    if end == 'avif' and not PIL.features.check('avif'):
        return
    im = open_photo(io.BytesIO(data))
    im = im if mode in ('L', 'RGB') else im.convert('RGB')
    lost = save_photo(im, tmp_path / f'out.{end}', durable=False)
    with PIL.Image.open(tmp_path / f'out.{end}') as new:
        new.load()
        if end != 'avif' or held.get('orientation', 1) == 1:  # else Pillow's reader replaces letters such as ü
            assert (new.getexif().get(0x013B) == held.get('artist')) or 'EXIF data' in lost
        assert (new.info.get('icc_profile') == held.get('icc_profile')) or 'colour profile' in lost
        assert 'dpi' not in held or 'resolution' in lost or new.info.get('dpi')


@given(files(), st.sampled_from([None, 'RGB', 'L', 'RGBA']), st.booleans())
@few
def test_one_way_in(tmp_path, file, wanted, small):
    "The numbers are the same from a path, an open file, a Pillow picture, opened or loaded, and an array."
    end, mode, data, _ = file
    if mode == 'I' and end == 'tif':  # refused, unless its numbers are asked for as they are
        with pytest.raises(OSError, match='white'):
            decode_image(io.BytesIO(data), 'RGB')
        return
    size = (lambda h, w: (h + 2, w + 1)) if small else None
    (tmp_path / f'in.{end}').write_bytes(data)
    want = decode_image(tmp_path / f'in.{end}', wanted, size)
    loaded = PIL.Image.open(io.BytesIO(data))
    loaded.load()
    for o in (io.BytesIO(data), PIL.Image.open(io.BytesIO(data)), loaded):
        assert (decode_image(o, wanted, size) == want).all()
    upright = ImageOps.exif_transpose(loaded)
    if upright.mode in ('L', 'LA', 'RGB', 'RGBA', 'I;16', 'F') and 'transparency' not in upright.info:
        assert (decode_image(np.asarray(upright), wanted, size) == want).all()


@pytest.fixture(scope='module')
def learner(tmp_path_factory):
    path = tmp_path_factory.mktemp('pictures')
    for i in range(4):
        (path / f'class{i % 2}').mkdir(exist_ok=True)
        paint('RGB', (8, 8), i).save(path / f'class{i % 2}' / f'{i}.png')
    data = ImageList.from_folder(path).split_by_idx([0, 3]).label_from_folder()
    data = data.transform(([], []), size=8).databunch(bs=2).normalize()
    assert isinstance(data, ImageDataBunch)
    return Learner(data, nn.Sequential(nn.Conv2d(3, 2, 8), nn.Flatten()), silent=True)


@given(files())
@settings(few, max_examples=30)
def test_predict(learner, tmp_path, file):
    "`predict` by path, by open file, by Pillow picture, by array."
    end, mode, data, _ = file
    if mode == 'I' and end == 'tif':
        return
    (tmp_path / f'in.{end}').write_bytes(data)
    want = learner.predict(tmp_path / f'in.{end}')[2]
    im = PIL.Image.open(io.BytesIO(data))
    for o in (io.BytesIO(data), im):
        assert (learner.predict(o)[2] == want).all()
    plain = decode_image(im).numpy().transpose(1, 2, 0)
    for o in (plain, plain.astype(np.uint16) * 257, plain / 255, plain.astype(np.float32) / 255):
        assert (learner.predict(o)[2] - want).abs().max() < 1e-6
    for o in (plain.astype(np.int64), plain.astype(np.int32)):
        with pytest.raises(ValueError, match='white'):
            learner.predict(o)


def test_numbers_of_restore():
    "The same numbers of another type: the same picture, or an error in words."
    a = np.random.default_rng(0).integers(0, 256, (9, 8, 3), dtype=np.uint8)
    net = nn.Conv2d(3, 3, 3, padding=1)
    want = restore(a, net)
    for kind in (np.int16, np.int32, np.int64, np.uint32):
        with pytest.raises(ValueError, match='white=255'):
            restore(a.astype(kind), net)
        assert (restore(a.astype(kind), net, white=255) == want).all()
    assert (restore(a.astype(np.uint16) * 257, net) // 257 - want.astype(int)).max() <= 1


def test_deep_colour_is_reported(tmp_path):
    "16 bits a channel: Pillow gives 8, and that is said."
    (tmp_path / 'deep.ppm').write_bytes(b'P6 2 1 65535\n' + bytes(range(12)))
    lost = save_photo(restore(tmp_path / 'deep.ppm', nn.Identity()), tmp_path / 'out.ppm')
    assert lost == ['16-bit colour: 8 bits a channel are left']
    assert read_metadata(open_photo(tmp_path / 'deep.ppm')).lost == lost
