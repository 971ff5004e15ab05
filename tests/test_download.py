"""Archives, mirrors and addresses that are wrong in every way: refused in words, or right to the byte."""

import bz2
import contextlib
import gzip
import http.server
import io
import lzma
import socket
import struct
import tarfile
import threading
import time
import warnings
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lesson7_lib.core import archives, download
from lesson7_lib.core.archives import ArchiveError, DataError, safe_extract
from lesson7_lib.core.download import data_folder
from lesson7_lib.data import untar_data

FILES = {'set/a.txt': b'one two three', 'set/b/c.txt': b'', 'set/b/d.bin': bytes(range(40)) * 2}
quick = settings(max_examples=60, deadline=None, derandomize=True)


def tar() -> bytes:
    "A tar archive of `FILES`."
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w') as tf:
        for name, content in FILES.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tf.addfile(member, io.BytesIO(content))
    return out.getvalue()


def zip_archive() -> bytes:
    "A zip archive of `FILES`."
    out = io.BytesIO()
    with zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as zf:
        for name, content in FILES.items():
            zf.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


ARCHIVES = {
    'a.tgz': gzip.compress(tar(), mtime=0),
    'a.tar.bz2': bz2.compress(tar()),
    'a.tar.xz': lzma.compress(tar()),
    'a.zip': zip_archive(),
}


def unpacked(content: bytes, name: str, folder: Path) -> dict[str, bytes] | None:
    "The files that come out of an archive; `None` if it is refused. Any other error is a failure."
    (folder / name).write_bytes(content)
    out = folder / 'out'
    try:
        safe_extract(folder / name, out)
        return {o.relative_to(out).as_posix(): o.read_bytes() for o in out.rglob('*') if o.is_file()}
    except ArchiveError:
        return None
    finally:
        remove(out)


def remove(folder: Path) -> None:
    for o in sorted(folder.rglob('*'), reverse=True):
        o.rmdir() if o.is_dir() else o.unlink()
    with contextlib.suppress(FileNotFoundError):
        folder.rmdir()


@pytest.mark.parametrize('name', ARCHIVES)
def test_every_damage(name, tmp_path):
    "Whatever byte is changed, and wherever the archive is cut: refused, or the right files."
    good = ARCHIVES[name]
    assert unpacked(good, name, tmp_path) == FILES
    step = 1 if name in ('a.tgz', 'a.zip') else 5
    for i in range(0, len(good), step):
        bad = bytearray(good)
        bad[i] ^= 1 << i % 8
        got = unpacked(bytes(bad), name, tmp_path)
        assert got is None or got == FILES, f'a bit of byte {i} changed'
    for i in range(0, len(good), step):
        got = unpacked(good[:i], name, tmp_path)
        assert got is None or got == FILES, f'cut after {i} bytes'


def test_cut_before_packing(tmp_path):
    "A tar archive that was cut first and compressed then has a right check sum, and no end mark."
    whole = tar()
    end = len(whole.rstrip(b'\0'))
    for i in range(0, len(whole), 256):
        got = unpacked(gzip.compress(whole[:i], 1), 'a.tgz', tmp_path)
        assert got is None or (got == FILES and i >= end + 1024 - 512), f'cut after {i} bytes'


@quick
@given(st.data())
def test_strange_headers(tmp_path_factory, data):
    "Changed bytes in a tar archive without compression: unpacked or refused, never another error, never outside."
    folder = tmp_path_factory.getbasetemp() / 'tar'
    folder.mkdir(exist_ok=True)
    content = bytearray(tar())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, 1535))
        content[at] = data.draw(st.integers(0, 255))
    for start in (0, 1024):  # with the sum of the header made to fit, so that the change is seen
        content[start + 148 : start + 156] = b' ' * 8
        content[start + 148 : start + 155] = b'%06o\0' % sum(content[start : start + 512])
    unpacked(bytes(content), 'a.tar', folder)
    assert {o.name for o in folder.iterdir()} == {'a.tar'}


@quick
@given(st.text(st.characters(exclude_categories=['Cs']), max_size=12) | st.text('./%2efFcC5:a\\', max_size=12))
def test_names_stay_inside(name):
    "An address is stored in the folder itself, or refused."
    folder = Path('cache')
    for url in ('http://h/' + name, 'mirror://' + name, 'synth://digits?x=' + name):
        try:
            path = data_folder(url, folder)
        except DataError:
            continue
        assert path.parent == folder and path.name not in ('', '.', '..') and '/' not in path.name


class Answers(http.server.BaseHTTPRequestHandler):
    "Answers `SHA256SUMS` as `how` says, and everything else with the archive."

    how = '200'
    archive = ARCHIVES['a.tgz']
    asked = []

    def log_message(self, *args):
        pass

    def reply(self, code, content=b'', length=None):
        self.send_response(code)
        self.send_header('Content-Length', str(len(content) if length is None else length))
        self.end_headers()
        if self.command == 'GET':
            self.wfile.write(content)

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        if not self.path.endswith('SHA256SUMS'):
            return self.reply(200, self.archive)
        type(self).asked.append(self.how)
        line = f'{sha256(self.archive).hexdigest()}  a.tgz\n'.encode()
        if self.how.isdigit():
            return self.reply(int(self.how), line)
        if self.how == 'reset':
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            return self.connection.close()
        if self.how == 'silent':
            return time.sleep(0.4)
        if self.how == 'cut':
            return self.reply(200, line[:40], len(line))
        if self.how == 'noise':
            return self.wfile.write(b'\0\1\2 this is no HTTP\r\n\r\n')
        return self.reply(200, b'<html>Welcome to our hotel</html>')

    def handle_one_request(self):
        with contextlib.suppress(OSError, ValueError):  # the other side has gone, or the connection is closed
            super().handle_one_request()


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Answers)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    monkeypatch.setenv('LESSON7_MIRROR', f'http://127.0.0.1:{server.server_port}')
    monkeypatch.setenv('LESSON7_CACHE', str(tmp_path / 'cache'))
    monkeypatch.setattr(download, '_timeout', 0.2)
    monkeypatch.setattr(download, '_pause', 0.0)
    Answers.asked = []
    yield tmp_path / 'cache'
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize('how', ['400', '401', '403', '500', '502', '503', 'reset', 'silent', 'cut', 'noise', 'hotel'])
def test_sums_that_fail(mirror, monkeypatch, how):
    "A mirror that does not give its sums is asked twice, and then not used."
    monkeypatch.setattr(Answers, 'how', how)
    with pytest.raises(DataError, match='cannot be verified and is not used'):
        untar_data('mirror://a.tgz')
    assert Answers.asked == [how] * 2
    assert [o.name for o in mirror.iterdir()] == ['.locks']


@pytest.mark.parametrize('how', ['200', '404', '410'])
def test_sums_that_are_clear(mirror, monkeypatch, how):
    "Sums are used; that there are none is said."
    monkeypatch.setattr(Answers, 'how', how)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter('always')
        path = untar_data('mirror://a.tgz')
    assert (path / 'a.txt').read_bytes() == FILES['set/a.txt']
    assert [str(o.message).partition(':')[0] for o in said] == ([] if how == '200' else ["'a.tgz' is not verified"])


def test_sums_that_differ(mirror, monkeypatch):
    "An archive that is not the one of the list is refused."
    monkeypatch.setattr(Answers, 'how', '200')
    monkeypatch.setattr(download, '_read_sums', lambda raw: {'a.tgz': '0' * 64})
    with pytest.raises(download.ChecksumError, match='0' * 64):
        untar_data('mirror://a.tgz')


def bomb(name: str, size: int) -> bytes:
    "An archive that announces a file of `size` zeros."
    if name.endswith('.zip'):
        out = io.BytesIO()
        with zipfile.ZipFile(out, 'w', zipfile.ZIP_DEFLATED) as zf, zf.open('zeros', 'w') as f:
            for _ in range(size >> 20):
                f.write(bytes(1 << 20))
        return out.getvalue()
    member = tarfile.TarInfo('zeros')
    member.size = size
    return gzip.compress(member.tobuf() + bytes(1 << 20))


@pytest.mark.parametrize('name, size', [('a.tgz', 1 << 30), ('a.zip', 80 << 20)])
def test_bombs(name, size, tmp_path):
    "Refused before a byte of the file is written."
    (tmp_path / name).write_bytes(bomb(name, size))
    with pytest.raises(ArchiveError, match=f'{size} or more would come out, over 100 times as many'):
        safe_extract(tmp_path / name, tmp_path / 'out')
    assert not [o for o in tmp_path.rglob('*') if o.name == 'zeros']


def test_bomb_of_headers(tmp_path, monkeypatch):
    "A list of nothing but folders has no contents, and grows all the same."
    member = tarfile.TarInfo('d')
    member.type = tarfile.DIRTYPE
    monkeypatch.setattr(archives, '_harmless', 1 << 20)
    (tmp_path / 'a.tgz').write_bytes(gzip.compress(member.tobuf() * 5000))
    with pytest.raises(ArchiveError, match='over 100 times as many'):
        safe_extract(tmp_path / 'a.tgz', tmp_path / 'out')


def test_bomb_without_list(tmp_path, monkeypatch):
    "A single compressed file, which says nothing of its size."
    monkeypatch.setenv('LESSON7_CACHE', str(tmp_path / 'cache'))
    (tmp_path / 'a.txt.gz').write_bytes(gzip.compress(bytes(80 << 20), 9))
    with pytest.raises(ArchiveError, match='over 100 times as many'):
        untar_data(tmp_path / 'a.txt.gz')
    assert [o.name for o in (tmp_path / 'cache').iterdir()] == ['.locks']


def sparse_tar() -> bytes:
    "A tar archive with a file of 3 GB, none of which is in it."
    member = tarfile.TarInfo('a')
    member.size = 512
    holes = {'major': '1', 'minor': '0', 'name': 'a', 'realsize': str(3 << 30)}
    member.pax_headers = {f'GNU.sparse.{k}': v for k, v in holes.items()}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=tarfile.PAX_FORMAT) as tf:
        tf.addfile(member, io.BytesIO(b'0\n'.ljust(512, b'\0')))
    return out.getvalue()


def named(*names, folder=None) -> bytes:
    "A tar archive of files with these names, and a folder."
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w') as tf:
        for name in names:
            tf.addfile(tarfile.TarInfo(name))
        if folder:
            member = tarfile.TarInfo(folder)
            member.type = tarfile.DIRTYPE
            tf.addfile(member)
    return out.getvalue()


ODD = {
    'sparse': (sparse_tar, 'a link or a device'),
    'a file, then a folder': (lambda: named('a', folder='a'), "a file and a folder have one name, 'a'. Nothing"),
    'a file, then a file in it': (lambda: named('a', 'a/b'), 'a file and a folder have one name'),
    'a folder, then a file': (lambda: named('a/b', 'a'), 'a file and a folder have one name'),
    'empty': (lambda: named(), 'it holds no file'),
    'no bytes': (lambda: b'', 'cut short or damaged'),
    'deep': (lambda: named('d/' * 1500 + 'a'), '1501 folders deep: at most 100'),
    'deep folders': (lambda: named(folder='d/' * 1500), '1500 folders deep: at most 100'),
    'no name': (lambda: named(''), 'a file without a name'),
    'long name': (lambda: named('x' * 300), 'a name that is too long'),
}


@pytest.mark.parametrize('name', ODD)
def test_odd_archives(name, tmp_path, monkeypatch):
    "Refused in words; nothing is left."
    make, words = ODD[name]
    monkeypatch.setenv('LESSON7_CACHE', str(tmp_path / 'cache'))
    (tmp_path / 'a.tar').write_bytes(make())
    with pytest.raises(ArchiveError, match=words):
        untar_data(tmp_path / 'a.tar')
    assert [o.name for o in (tmp_path / 'cache').iterdir()] == ['.locks']


@contextlib.contextmanager
def answers(*parts, wait=0.0):
    "A server that answers every request with these bytes, part by part, and hangs up; yields the address."

    def answer(connection):
        with connection, contextlib.suppress(OSError):
            connection.recv(1 << 16)
            for o in parts:
                connection.sendall(o)
                time.sleep(wait)

    def serve():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=answer, args=(server.accept()[0],), daemon=True).start()

    with socket.create_server(('127.0.0.1', 0)) as server:
        threading.Thread(target=serve, daemon=True).start()
        yield f'http://127.0.0.1:{server.getsockname()[1]}/a.bin'
        server.shutdown(socket.SHUT_RDWR)


OK = b'HTTP/1.1 200 OK\r\n'
CHUNKED = OK + b'Transfer-Encoding: chunked\r\n\r\n'
FAULTS = {
    'cut chunk': ([CHUNKED + b'10\r\nabc'], 'what it sent broke off. Try again'),
    'no last chunk': ([CHUNKED + b'3\r\nabc\r\n'], 'what it sent broke off. Try again'),
    'no chunk': ([CHUNKED + b'zz\r\nabc\r\n'], 'what it sent broke off. Try again'),
    'cut': ([OK + b'Content-Length: 10\r\n\r\nabc'], 'broke off after 3 of 10 bytes. Try again'),
    'no HTTP': ([b'SSH-2.0-OpenSSH_9\r\n'], 'its answer is not HTTP'),
    'no answer': ([], 'it hung up without an answer. Try again'),
    'odd status': ([b'HTTP/1.1 twenty\r\n\r\n'], 'its answer is not HTTP'),
    'slow': ([OK + b'Content-Length: 90\r\n\r\n', *[b'a'] * 90], 'of the 1000 bytes a second that are expected'),
    'too large': ([OK + b'Content-Length: 9000000000000000\r\n\r\n'], 'the disk is full'),
}


@pytest.mark.parametrize('name', FAULTS)
def test_faults_of_servers(name, tmp_path, monkeypatch):
    "Clear words, nothing half, and what was there stays."
    monkeypatch.setattr(download, '_timeout', 2)
    monkeypatch.setattr(download, '_window', 0.2)
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    (tmp_path / 'a.bin').write_bytes(b'before')
    parts, words = FAULTS[name]
    with answers(*parts, wait=0.02 if len(parts) > 1 else 0) as url, pytest.raises(OSError, match=words):
        download.fetch_file(url, tmp_path / 'a.bin')
    assert [o.read_bytes() for o in tmp_path.iterdir()] == [b'before']


@pytest.mark.parametrize('code', [400, 403, 405, 501])
def test_mirror_without_head(mirror, monkeypatch, code):
    "A server that refuses HEAD is asked for the file itself."
    monkeypatch.setattr(Answers, 'do_HEAD', lambda self: self.reply(code))
    monkeypatch.setattr(Answers, 'how', '200')
    assert (untar_data('mirror://a.tgz') / 'a.txt').read_bytes() == FILES['set/a.txt']
