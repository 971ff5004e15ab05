"""Runs every check of the project on a copy of it, and ends with the line `N passed, N failed`.

    python tests/run.py            all checks (what README and continuous integration call)
    python tests/run.py house 01   only the checks whose names hold one of these words
    python tests/run.py --list     their names
    python tests/run.py --fix      cleans the notebooks, exports the modules, runs the index page and writes README.md in the checkout itself

Nothing is written into the checkout by the checks, nothing is downloaded, and no mirror or full profile is used, whatever the
environment says. Needs the development extra: pip install -e ".[dev]".
"""

import argparse, json, os, shutil, subprocess, sys, tempfile, time
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORKERS = 2  # notebooks and test files at a time, one thread each
LIMIT = 420  # seconds for one notebook or one test file
SKIPPED = 77  # exit status of a test file that cannot be run here; its last line says why
LEAVE = {
    '.git',
    '.venv',
    '.venv-dev',
    'venv',
    '_docs',
    '_proc',
    'build',
    'dist',
    '__pycache__',
    '.ipynb_checkpoints',
    '.lesson7',
    'lesson7_demo',
    'node_modules',
    '.pytest_cache',
    'models',
}


def copy_tree(to):
    "The files that belong to the project (by git where there is git), copied to `to`."
    try:
        out = subprocess.run(
            ['git', '-C', str(ROOT), 'ls-files', '-co', '--exclude-standard', '-z'], capture_output=True, timeout=60
        )
        names = out.stdout.decode().split('\0') if out.returncode == 0 and (ROOT / '.git').exists() else None
    except (OSError, subprocess.SubprocessError):
        names = None
    if names is None:
        skip = lambda d, fs: [f for f in fs if f in LEAVE or f.endswith('.egg-info')]
        return shutil.copytree(ROOT, to, ignore=skip, symlinks=True)
    for n in filter(None, names):
        if not (ROOT / n).is_file():
            continue  # deleted but not yet committed
        (to / n).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / n, to / n)
    return to


def environment(tmp, copy):
    "What the checks run with: a fresh cache, no mirror, no full profile, no internet, one thread, no window."
    drop = ('LESSON7_MIRROR', 'LESSON7_FULL', 'LESSON7_CACHE', 'PYTHONPATH', 'IN_TEST', 'MPLBACKEND')
    env = {k: v for k, v in os.environ.items() if k not in drop}
    dead, bins = 'http://127.0.0.1:9', str(Path(sys.executable).parent)
    env.update(
        LESSON7_CACHE=str(tmp / 'cache'),
        PYTHONPATH=str(copy),
        MPLBACKEND='agg',
        OMP_NUM_THREADS='1',
        MKL_NUM_THREADS='1',
        MPLCONFIGDIR=str(tmp / 'mpl'),
        IPYTHONDIR=str(tmp / 'ipython'),
        PYTHONDONTWRITEBYTECODE='1',
        PYTHONUNBUFFERED='1',
        http_proxy=dead,
        https_proxy=dead,
        HTTP_PROXY=dead,
        HTTPS_PROXY=dead,
        no_proxy='127.0.0.1,localhost',
        NO_PROXY='127.0.0.1,localhost',
        PATH=bins + os.pathsep + env.get('PATH', ''),
    )
    return env


class Fail(Exception):
    "A check that did not pass; its text says what to do."


class Skip(Exception):
    "A check that cannot be made here; its text says why."


def sh(cmd, cwd, env, limit=LIMIT):
    "Runs a command; its output, or Fail with the end of it."
    try:
        r = subprocess.run(
            [str(o) for o in cmd],
            cwd=cwd,
            env=env,
            text=True,
            timeout=limit,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except subprocess.TimeoutExpired as e:
        raise Fail(f'not done after {limit} s\n{((e.stdout or b"").decode(errors="replace"))[-2000:]}') from None
    if r.returncode == SKIPPED:
        raise Skip(r.stdout.strip().splitlines()[-1])
    if r.returncode:
        raise Fail(r.stdout.strip()[-6000:] or f'exit status {r.returncode}')
    return r.stdout


def differing(a, b, pattern):
    "Names of the files by `pattern` that are not the same in two folders."
    names = sorted({p.name for d in (a, b) for p in d.glob(pattern)})
    same = lambda n: (a / n).is_file() and (b / n).is_file() and (a / n).read_bytes() == (b / n).read_bytes()
    return [n for n in names if not same(n)]


def second_copy(c):
    "Another copy, for the checks that change files."
    return shutil.copytree(c['copy'], Path(tempfile.mkdtemp(dir=c['tmp'])) / 'lesson7_lib_checkout')


def check_clean(c):
    "notebooks are clean"
    to = second_copy(c)
    sh(['nbdev_clean'], to, {**c['env'], 'PYTHONPATH': str(to)})
    bad = differing(c['copy'] / 'nbs', to / 'nbs', '*.ipynb')
    if bad:
        raise Fail(f'not as nbdev_clean leaves them: {", ".join(bad)}\nrun: python tests/run.py --fix')


def check_export(c):
    "modules are in sync with the notebooks"
    to = second_copy(c)
    for p in (to / 'lesson7_lib').glob('*.py'):
        if p.name != '__init__.py':
            p.unlink()
    sh(['nbdev_export'], to, {**c['env'], 'PYTHONPATH': str(to)})
    bad = differing(c['copy'] / 'lesson7_lib', to / 'lesson7_lib', '*.py')
    if bad:
        raise Fail(f'not what the notebooks export: {", ".join(bad)}\nrun: python tests/run.py --fix')


def check_house(c):
    "rules of the house"
    sh([sys.executable, '-m', 'lesson7_lib.house', '--root', c['copy']], c['copy'], c['env'])


def refresh(root, env):
    "Runs the index page of the checkout `root` (its table is made from results/) and writes README.md there."
    sh([sys.executable, '-m', 'nbconvert', '--to', 'notebook', '--execute', '--inplace', 'nbs/index.ipynb'], root, env)
    sh(['nbdev_clean', '--fname', 'nbs/index.ipynb'], root, env)
    sh([sys.executable, '-c', 'from lesson7_lib.house import write_readme; write_readme()'], root, env)


def check_readme(c):
    "README.md is in sync with the index page and the results"
    to = second_copy(c)
    refresh(to, {**c['env'], 'PYTHONPATH': str(to)})
    if differing(c['copy'], to, 'README.md'):
        raise Fail('README.md is not what nbs/index.ipynb and results/ give\nrun: python tests/run.py --fix')


def notebook_check(nb):
    "A check that runs nbdev_test on one notebook."

    def check(c):
        sh(['nbdev_test', '--path', c['copy'] / 'nbs' / nb, '--n_workers', '1'], c['copy'], c['env'])

    check.__doc__ = f'notebook {Path(nb).stem}'
    return check


def file_check(fn):
    "A check that runs one file of tests."

    def check(c):
        code = (
            'import runpy, sys; g = runpy.run_path(sys.argv[1], run_name="tests"); fs = [v for k,v in g.items() if k.startswith("test_")]\n'
            'for f in fs: print(f.__name__, flush=True); f()\nprint(len(fs), "test functions")'
        )
        sh(
            [sys.executable, '-c', code, c['copy'] / 'tests' / fn],
            c['copy'],
            c['env'],
            LIMIT * (2 if fn == 'test_site.py' else 1),
        )

    check.__doc__ = f'file {fn}'
    return check


def needed_by(name, seen):
    "The installed distributions that `name` needs to run, itself included."
    from packaging.requirements import Requirement

    key = name.lower().replace('_', '-')
    if key in seen:
        return seen
    try:
        seen[key] = dist = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return seen
    for req in map(Requirement, dist.requires or []):
        if req.marker is None or req.marker.evaluate({'extra': ''}):
            needed_by(req.name, seen)
    return seen


def bare_venv(c, wheel):
    "A virtual environment with the wheel and what it requires (linked, not downloaded), and without any development tool."
    venv = c['tmp'] / 'bare'
    sh([sys.executable, '-m', 'venv', '--without-pip', venv], c['tmp'], c['env'])
    py = next(p for p in (venv / 'bin' / 'python', venv / 'Scripts' / 'python.exe') if p.exists())
    site = Path(sh([py, '-c', 'import sysconfig; print(sysconfig.get_paths()["purelib"])'], c['tmp'], c['env']).strip())
    sh(
        [sys.executable, '-m', 'pip', 'install', '-q', '--no-deps', '--no-index', '--target', site, wheel],
        c['tmp'],
        c['env'],
    )
    meta = metadata.Distribution.at(next(site.glob('lesson7_lib-*.dist-info')))
    from packaging.requirements import Requirement

    dists = {}
    for req in map(Requirement, meta.requires or []):
        if req.marker is None or req.marker.evaluate({'extra': ''}):
            needed_by(req.name, dists)
    for dist in dists.values():
        for top in {f.parts[0] for f in dist.files or [] if f.parts[0] not in ('..', '__pycache__')}:
            src, to = Path(dist.locate_file(top)), site / top
            if src.exists() and not to.exists():
                to.symlink_to(src)
    return py


def check_wheel(c):
    "wheel runs in a bare environment without notebooks and tools"
    src, out = second_copy(c), c['tmp'] / 'wheel'
    sh(
        [sys.executable, '-m', 'pip', 'wheel', '-q', '--no-deps', '--no-build-isolation', '-w', out, src],
        c['tmp'],
        c['env'],
    )
    wheel = next(out.glob('lesson7_lib-*.whl'))
    try:
        py = bare_venv(c, wheel)
    except OSError as e:
        raise Skip(f'no links can be made here: {e}') from None
    env = {k: v for k, v in c['env'].items() if k != 'PYTHONPATH'}
    code = (
        'import sys; from importlib.util import find_spec; from pathlib import Path\n'
        'import lesson7_lib, lesson7_lib.all as l\n'
        'assert "bare" in lesson7_lib.__file__, lesson7_lib.__file__\n'
        'there = [o for o in ("nbdev", "execnb", "nbconvert", "ghapi", "jupytext") if find_spec(o)]; assert not there, there\n'
        'from lesson7_lib.house import find_checkout, house_breaks; from lesson7_lib.results import results_table\n'
        'assert find_checkout() is None and house_breaks()==[] and "no results" in str(results_table())\n'
        'from importlib.metadata import entry_points\n'
        'eps = entry_points(group="console_scripts"); assert any(e.name=="lesson7_demo" and e.load() for e in eps)'
    )
    sh([py, '-c', code], c['tmp'], env)
    for o in ('demo', 'docs'):
        sh([py, '-m', f'lesson7_lib.{o}', '--help'], c['tmp'], env)


def all_checks():
    "name -> function; the long ones first, so that two workers end together."
    nbs = sorted((p.name for p in (ROOT / 'nbs').glob('*.ipynb') if not p.name.startswith('_')), reverse=True)
    files = sorted(p.name for p in (ROOT / 'tests').glob('test_*.py'))
    fs = [
        *map(file_check, files),
        *map(notebook_check, nbs),
        check_wheel,
        check_export,
        check_clean,
        check_readme,
        check_house,
    ]
    return {f.__doc__: f for f in fs}


def fix():
    "Runs the index page again (its table is made from results/), cleans, exports and writes README.md, in the checkout."
    env = {
        **os.environ,
        'PYTHONPATH': str(ROOT),
        'PATH': str(Path(sys.executable).parent) + os.pathsep + os.environ.get('PATH', ''),
    }
    for cmd in ('nbdev_clean', 'nbdev_export'):
        sh([cmd], ROOT, env)
    refresh(ROOT, env)
    print('notebooks cleaned, modules exported, index page run, README.md written')


def main():
    p = argparse.ArgumentParser(description='All checks of the project; the last line is `N passed, N failed`.')
    p.add_argument('only', nargs='*', help='words: only checks whose names hold one of them')
    p.add_argument('--list', action='store_true', help='names of the checks')
    p.add_argument('--fix', action='store_true', help='clean the notebooks, export the modules, write README.md')
    o = p.parse_args()
    checks = {k: f for k, f in all_checks().items() if not o.only or any(w in k for w in o.only)}
    if o.list:
        return print(*checks, sep='\n')
    if o.fix:
        return fix()
    failed, skipped, start = [], [], time.time()
    with tempfile.TemporaryDirectory(prefix='lesson7_tests_', ignore_cleanup_errors=True) as tmp:
        tmp = Path(tmp).resolve()
        copy = copy_tree(tmp / 'checkout')
        c = dict(tmp=tmp, copy=copy, env=environment(tmp, copy))

        def one(name):
            t = time.time()
            try:
                checks[name](c)
                word, why = 'ok', ''
            except Skip as e:
                word, why = 'SKIPPED', str(e)
                skipped.append(name)
            except Fail as e:
                word, why = 'FAILED', str(e)
                failed.append(name)
            except Exception as e:
                word, why = 'FAILED', f'{type(e).__name__}: {e}'
                failed.append(name)
            print(f'{word:8} {time.time() - t:5.1f} s  {name}' + (f'\n{why}\n' if why else ''), flush=True)

        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(one, checks))
    print(f'{time.time() - start:.0f} seconds' + (f', NOT CHECKED HERE: {", ".join(skipped)}' if skipped else ''))
    print(f'{len(checks) - len(failed) - len(skipped)} passed, {len(failed)} failed')
    return bool(failed)


if __name__ == '__main__':
    sys.exit(main())
