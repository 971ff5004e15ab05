"""Jobs over folders of pictures, as people have them: links, pipes, locked folders, odd names, narrow terminals.

What needs a process of its own, or more than one job, is here; the rules of one job are cells of `vision/05_jobs`.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from lesson7_lib.apps.restore import restore_files
from lesson7_lib.core.files import file_identity
from lesson7_lib.vision.degrade import Crappify, Shrink, crappify_folder
from lesson7_lib.vision.jobs import plan_job
from lesson7_lib.vision.photo import verify_images

posix = pytest.mark.skipif(os.name != 'posix', reason='needs links and pipes')
shrink = Crappify(Shrink(8))


def picture(path: Path, seed: int = 0) -> Path:
    "A small picture file; another seed, another picture."
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.fromarray(np.random.default_rng(seed).integers(0, 256, (12, 16, 3), dtype=np.uint8)).save(path)
    return path


@pytest.fixture
def album(tmp_path) -> Path:
    "A folder with three pictures, two of them in a folder inside."
    for i, name in enumerate(('a.png', 'sub/b.png', 'sub/c.jpg')):
        picture(tmp_path / 'album' / name, i)
    return tmp_path / 'album'


def contents(folder: Path) -> dict[str, bytes]:
    return {str(o): o.read_bytes() for o in sorted(folder.rglob('*')) if o.is_file()}


def jobs(src: Path, dst: Path) -> list:
    "Both jobs with `overwrite`: their reports, or None where the job refuses to begin."
    reports = [restore_files(src, nn.Upsample(scale_factor=2), dst, overwrite=True)]
    try:
        reports.append(crappify_folder(src, dst, shrink, max_workers=0, overwrite=True))
    except ValueError as e:
        assert 'over SRC' in str(e)
        reports.append(None)
    return reports


@posix
@pytest.mark.parametrize('link', ['', 'sub', 'sub/b.png'])
def test_originals_stay(album, tmp_path, link):
    "The new folder, a folder in it, or a file in it is a link to the originals."
    new = tmp_path / 'new'
    place = new / link
    place.parent.mkdir(parents=True, exist_ok=True)
    os.symlink(album / link, place)
    before = contents(album)
    for report in jobs(album, new):
        assert report is None or any('written over' in why for _, why in report.failed)
    assert contents(album) == before


@posix
@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.tuples(st.sampled_from(['a.png', 'sub', 'sub/b.png', 'x']), st.integers(0, 5)), max_size=4))
def test_no_plan_leads_to_an_original(tmp_path_factory, links):
    "Whatever links are in the new folder, no two jobs have one place, and no place is an original or outside."
    base = tmp_path_factory.mktemp('plan')
    album, new = base / 'album', base / 'new'
    for o in ('a.png', 'sub/b.png', 'x/d.png'):
        picture(album / o)
    targets = [album, album / 'sub', album / 'a.png', base / 'outside', new, album / 'x' / 'd.png']
    picture(base / 'outside' / 'b.png')
    for name, k in links:
        place = new / name
        place.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(place):
            os.symlink(targets[k], place)
    plan, report = plan_job(album, new, overwrite=True)
    originals = {file_identity(o) for o in (album / 'a.png', album / 'sub/b.png', album / 'x/d.png')}
    places = [file_identity(dst) for _, dst in plan]
    assert len(set(places)) == len(places) and not originals & set(places)
    assert not any(dst.exists() and not Path(os.path.realpath(dst)).is_relative_to(new) for _, dst in plan)
    assert len(plan) + len(report.failed) == 3


@posix
def test_odd_files(album, tmp_path):
    "A pipe, a link to itself, a link to nowhere and a damaged file are reported, and nothing waits."
    os.mkfifo(album / 'pipe.jpg')
    os.symlink('itself.png', album / 'itself.png')
    os.symlink('gone', album / 'nowhere.png')
    (album / 'damaged.avif').write_bytes(b'\0\0\0\x1cftypavif' + bytes(100))
    reports = [r.failed for r in jobs(album, tmp_path / 'new')] + [verify_images(album)]
    for failed in reports:
        assert {o.name for o, _ in failed} == {'pipe.jpg', 'itself.png', 'nowhere.png', 'damaged.avif'}
        assert dict((o.name, why) for o, why in failed)['itself.png'] == 'a link that leads to itself'
    assert len(contents(tmp_path / 'new')) == 3


@posix
def test_locked_folder(album, tmp_path, monkeypatch):
    "A folder inside that may not be listed is named, and the others are done. (The system manager may list all.)"
    scan = os.scandir

    def scan_unlocked(folder):
        if str(folder).endswith('sub'):
            raise PermissionError(13, 'Permission denied', str(folder))
        return scan(folder)

    monkeypatch.setattr(os, 'scandir', scan_unlocked)
    for report in jobs(album, tmp_path / 'new'):
        assert report.failed == [(album / 'sub', 'no permission to list it')] and len(report.done) == 1
    assert verify_images(album) == [(album / 'sub', 'no permission to list it')]


@pytest.mark.skipif(sys.platform != 'linux', reason='needs names of any bytes')
def test_name_that_is_no_text(album, tmp_path):
    "A name that is not UTF-8 goes through both jobs, and the report can be printed."
    (album / 'a.png').rename(os.path.join(os.fsencode(album), b'caf\xe9.png').decode('utf-8', 'surrogateescape'))
    for report in jobs(album, tmp_path / 'new'):
        assert report.failed == [] and len(report.done) == 3
    report.failed.append((report.done[0], 'bad'))
    str(report).encode()


def test_narrow_terminal(tmp_path):
    "The commands print their report and their help on a terminal that has only English letters."
    picture(tmp_path / 'Müller.png')
    (tmp_path / 'müde.jpg').write_bytes(b'no picture')
    code = 'import sys; from lesson7_lib.apps.degrade import crappify_main as m; sys.exit(m(sys.argv[1:]))'
    words = [sys.executable, '-c', code, str(tmp_path), str(tmp_path / 'neu'), '--workers', '0']
    environment = {**os.environ, 'PYTHONIOENCODING': 'ascii', 'PYTHONUTF8': '0'}
    ran = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=120)
    assert ran.returncode == 1, ran.stderr
    assert '1 pictures degraded' in ran.stdout and r'm\xfcde.jpg: not a picture' in ran.stdout


@pytest.mark.skipif(os.name != 'posix', reason='Windows allows shorter paths')
@pytest.mark.parametrize('name', ['é' * 120 + '.png', 'x' * 251 + '.png'])
def test_longest_names(tmp_path, name):
    "A name as long as the file system allows is no longer when it is written."
    picture(tmp_path / 'album' / name)
    for report in jobs(tmp_path / 'album', tmp_path / 'new'):
        assert report.failed == [] and [o.name for o in report.done] == [name]
