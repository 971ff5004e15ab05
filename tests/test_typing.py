"""A type checker accepts the README's examples, and knows the methods that notebooks add to a class."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def mypy(code: str, tmp_path: Path) -> str:
    "What the checker says of a script."
    (tmp_path / 'script.py').write_text(code, encoding='utf-8')
    options = [
        '--ignore-missing-imports',
        '--follow-imports=silent',
        '--disable-error-code=override',
        '--no-error-summary',
    ]
    command = [sys.executable, '-m', 'mypy', *options, '--cache-dir', str(tmp_path / 'cache'), 'script.py']
    r = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert r.returncode in (0, 1), r.stdout + r.stderr
    return r.stdout


def test_readme_examples(tmp_path):
    blocks = re.findall(r'(?ms)^```python\n(.*?)^```', (ROOT / 'README.md').read_text(encoding='utf-8'))
    assert blocks
    wrong = 'learn.fit_one_cicle(1)\nlearn.fit_one_cycle("many")\n'
    said = mypy('\n'.join(blocks) + '\n' + wrong, tmp_path)
    lines = [o for o in said.splitlines() if 'error:' in o]
    assert len(lines) == 2 and 'fit_one_cicle' in lines[0] and 'incompatible type "str"' in lines[1], said
