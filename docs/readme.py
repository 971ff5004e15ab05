"""Makes README.md from the index page: `python docs/readme.py` runs nbs/index.ipynb (its table comes from results/)
and writes the file.

Links are moved from `nbs/` to the root, hidden cells are left out, and outputs become markdown.
"""

import json
import re
import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parent.parent
INDEX = ROOT / 'nbs' / 'index.ipynb'
NOTE = '<!-- made from nbs/index.ipynb by docs/readme.py; edit there -->'
LINK = re.compile(r'(\]\(|src="|srcset=")(?![a-z]+:|#|/)([^)"\s]+)')


def moved(markdown: str) -> str:
    "Relative links of a page in `nbs/`, as they must read from the root."
    return LINK.sub(lambda m: m[1] + (m[2][3:] if m[2].startswith('../') else 'nbs/' + m[2]), markdown)


def output_markdown(output: dict) -> str:
    "One output: markdown as it is, text in a fence, '' for anything else."
    data = output.get('data', {})
    if 'text/markdown' in data:
        return ''.join(data['text/markdown']).rstrip()
    text = ''.join(data.get('text/plain') or output.get('text', '')).rstrip()
    return f'```\n{text}\n```' if text else ''


def cell_markdown(cell: dict) -> str:
    "One cell as markdown, '' for a hidden one."
    source = ''.join(cell['source']).strip()
    if not source or re.search(r'^#\|\s*(hide|default_exp)\b', source, re.M):
        return ''
    if cell['cell_type'] == 'markdown':
        return moved(source)
    shown = '\n'.join(o for o in source.splitlines() if not o.startswith('#|')).strip()
    code = [] if re.search(r'^#\|\s*echo:\s*false', source, re.M) else [f'```python\n{shown}\n```']
    outputs = [output_markdown(o) for o in cell.get('outputs', [])]
    return moved('\n\n'.join(code + [o for o in outputs if o]))


def main() -> None:
    book = nbformat.read(INDEX, as_version=4)
    NotebookClient(
        book, timeout=300, kernel_name='python3', resources={'metadata': {'path': str(INDEX.parent)}}
    ).execute()
    old = json.loads(INDEX.read_text(encoding='utf-8'))
    for cell, run in zip(old['cells'], book.cells):
        if cell['cell_type'] == 'code':
            cell['outputs'] = [{k: v for k, v in dict(o).items() if k != 'execution_count'} for o in run.outputs]
            cell['execution_count'] = None
            for o in cell['outputs']:
                if o['output_type'] == 'execute_result':
                    o['execution_count'] = None
    INDEX.write_text(json.dumps(old, sort_keys=True, indent=1, ensure_ascii=False) + '\n', encoding='utf-8')
    from nbdev.clean import nbdev_clean

    nbdev_clean(str(INDEX))
    cells = json.loads(INDEX.read_text(encoding='utf-8'))['cells']
    text = '\n\n'.join([NOTE, *(o for o in map(cell_markdown, cells) if o)]) + '\n'
    (ROOT / 'README.md').write_text(text, encoding='utf-8')


if __name__ == '__main__':
    sys.exit(main())
