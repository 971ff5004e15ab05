"What the tests read of the project: its notebooks, its modules, their imports."

import ast
import importlib.util
import json
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / 'lesson7_lib'
EXPORT = re.compile(r'^#\|\s*exports?\b')


@dataclass(frozen=True)
class Notebook:
    "One notebook of `nbs/`."

    path: Path

    @cached_property
    def cells(self) -> list[dict]:
        return json.loads(self.path.read_text(encoding='utf-8'))['cells']

    @property
    def name(self) -> str:  # such as 'core/07_learner'
        return self.path.relative_to(ROOT / 'nbs').with_suffix('').as_posix()

    @property
    def folder(self) -> str:  # 'core', …, or '' for a lesson
        return self.name.rpartition('/')[0]

    @property
    def number(self) -> int:
        return int(re.match(r'\d+', self.path.stem)[0])

    @property
    def module(self) -> str:  # such as 'core.learner'
        return (self.folder + '.' if self.folder else '') + re.sub(r'^\d+_', '', self.path.stem)

    @property
    def module_file(self) -> Path:
        return PACKAGE / (self.module.replace('.', '/') + '.py')

    def sources(self, kind: str) -> list[str]:
        return [''.join(c['source']) for c in self.cells if c['cell_type'] == kind]

    @cached_property
    def code(self) -> list[str]:
        return [s for s in self.sources('code') if s.strip()]

    @cached_property
    def exported(self) -> list[str]:
        return [s for s in self.code if EXPORT.match(s)]

    @cached_property
    def outputs(self) -> list[dict]:
        return [o for c in self.cells for o in c.get('outputs', [])]


NOT_READ = re.compile(
    r"""(?msx)
      ^```.*?^```                   # code
    | <details>.*?</details>        # folded
    | ^\*\*Source.*?(?=^\s*$|\Z)   # references
    | \$\$.*?\$\$ | \$[^$\n]+\$    # formulas
    | \]\([^)]*\)                   # where links lead
    | <[^>]*>                       # tags
    """
)


def reading_words(
    texts: list[str],  # markdown cells of a page, in order
) -> int:  # words up to the questionnaire, without what is folded, references and formulas
    "How much there is to read on the way through a page."
    path = '\n\n'.join(texts).partition('## Questionnaire')[0]
    return sum(any(ch.isalpha() for ch in word) for word in NOT_READ.sub(' ', path).split())


def notebooks() -> list[Notebook]:
    "All notebooks that export a module, in reading order."
    paths = [p for p in (ROOT / 'nbs').rglob('[0-9]*_*.ipynb') if '.ipynb_checkpoints' not in p.parts]
    return [Notebook(p) for p in sorted(paths)]


def lessons() -> list[Notebook]:
    "The lessons: what lies at the top, without the lecture's shims and the list of names."
    return [nb for nb in notebooks() if not nb.folder and nb.number < 90]


def code_lines(source: str) -> list[str]:
    "The lines of a cell that are neither blank nor a comment."
    return [o for o in source.splitlines() if o.strip() and not o.lstrip().startswith('#')]


def module_name(path: Path) -> str:
    "The name of a module file inside the package, such as 'core.learner'."
    return '.'.join(path.relative_to(PACKAGE).with_suffix('').parts).removesuffix('.__init__')


def imports(path: Path) -> list[tuple[str, str]]:
    "What a module imports from this package, wherever in the file: (module, name); the name is '' for a whole module."
    here, found = ('lesson7_lib', *path.relative_to(PACKAGE).parts[:-1]), []
    tree = ast.parse(path.read_text(encoding='utf-8'))
    tree.body = [o for o in tree.body if not (isinstance(o, ast.If) and 'TYPE_CHECKING' in ast.unparse(o.test))]
    for node in ast.walk(tree):  # imports for type checkers only are no dependency
        if isinstance(node, ast.Import):
            found += [(a.name, '') for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else ()
            module = '.'.join([*base, *([node.module] if node.module else [])])
            found += [(module, a.name) for a in node.names]
    ours = [(m.removeprefix('lesson7_lib').lstrip('.'), n) for m, n in found if m.split('.')[0] == 'lesson7_lib']
    known = {module_name(p) for p in PACKAGE.rglob('*.py')}
    whole = [(f'{m}.{n}'.lstrip('.'), '') if f'{m}.{n}'.lstrip('.') in known else (m, n) for m, n in ours]
    return [(m, n) for m, n in whole if m or n]


def weights_command():
    "The module `docs/weights.py`."
    spec = importlib.util.spec_from_file_location('weights_command', ROOT / 'docs' / 'weights.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
