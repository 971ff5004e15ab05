"""Writes a stub (`.pyi`) beside each module: `python docs/stubs.py`.

The notebooks build long classes step by step with `@patch`, which editors and type checkers do not follow. A stub
shows each class whole:
its own methods, those that were added later, and its attributes. Nothing of the library is run; the modules are read
as text.
"""

import ast
import copy
import re
import sys
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / 'lesson7_lib'
HEADER = '# Written by docs/stubs.py from the exported modules; do not edit.\n'


def is_patch(node: ast.AST) -> bool:
    if not isinstance(node, ast.FunctionDef):
        return False
    return any(ast.unparse(d).split('(')[0].split('.')[-1] == 'patch' for d in node.decorator_list)


def owners(node: ast.FunctionDef) -> list[str]:
    "The classes that a patched method is added to."
    first = node.args.args[0].annotation
    return [o.strip().strip('\'"') for o in ast.unparse(first).strip('()').split('|')] if first is not None else []


def signature(node: ast.FunctionDef, method: bool) -> str:
    "`def` line of a stub; defaults that are not plain values become `...`."
    args = ast.parse(ast.unparse(node.args).join(('def f(', '): ...'))).body[0].args
    if method and args.args and args.args[0].arg in ('self', 'cls'):
        args.args[0].annotation = None
    args.defaults = [d if isinstance(d, ast.Constant) else ast.Constant(...) for d in args.defaults]
    args.kw_defaults = [d if d is None or isinstance(d, ast.Constant) else ast.Constant(...) for d in args.kw_defaults]
    returns = f' -> {ast.unparse(node.returns)}' if node.returns is not None else ''
    if not returns and node.name == '__init__':
        returns = ' -> None'
    return f'def {node.name}({ast.unparse(args)}){returns}: ...'


KEPT = {'property', 'classmethod', 'staticmethod', 'contextmanager', 'cached_property', 'dataclass', 'abstractmethod'}


def decorators(node: ast.FunctionDef | ast.ClassDef) -> list[str]:
    "Decorators that matter to a type checker; the options of `patch` become the usual ones."
    found = []
    for d in node.decorator_list:
        text = ast.unparse(d)
        name = text.split('(')[0].split('.')[-1]
        if name == 'patch':
            found += ['@property'] * ('as_prop=True' in text) + ['@classmethod'] * ('cls_method=True' in text)
        elif name in KEPT or name == 'setter':
            found.append(f'@{text}')
    return found


def function_lines(node: ast.FunctionDef, indent: str = '', method: bool = False) -> list[str]:
    return [indent + o for o in [*decorators(node), signature(node, method)]]


def value_type(value: ast.expr | None) -> str:
    "The type of a plain value, else Any."
    try:
        v = ast.literal_eval(value) if value is not None else None
    except ValueError:
        return 'Any'
    return type(v).__name__ if isinstance(v, (bool, int, float, str, tuple, list, dict)) else 'Any'


def targets(node: ast.AST) -> list[ast.expr]:
    found = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [e for t in found for e in (t.elts if isinstance(t, (ast.Tuple, ast.List)) else [t])]


def attributes(methods: list[ast.FunctionDef]) -> dict[str, str]:
    "Attributes that methods give to `self`, with the type of the parameter where one is simply stored."
    found: dict[str, str] = {}
    for m in methods:
        if not m.args.args:
            continue
        me = m.args.args[0].arg
        hints = {a.arg: ast.unparse(a.annotation) for a in [*m.args.args, *m.args.kwonlyargs] if a.annotation}
        for node in ast.walk(m):
            if not isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
                continue
            for t in targets(node):
                if not (isinstance(t, ast.Attribute) and isinstance(t.value, ast.Name) and t.value.id == me):
                    continue
                kind = 'Any'
                if isinstance(node, ast.AnnAssign):
                    kind = ast.unparse(node.annotation)
                elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Name) and m.name == '__init__':
                    kind = hints.get(node.value.id, 'Any')
                if not isinstance(node, ast.AugAssign):
                    found.setdefault(t.attr, kind)
    return found


def class_lines(node: ast.ClassDef, added: list[ast.FunctionDef]) -> list[str]:
    "A class with everything that belongs to it."
    bases = ', '.join(ast.unparse(o) for o in [*node.bases, *node.keywords])
    own = [o for o in node.body if isinstance(o, ast.FunctionDef)]
    body, seen = [], {o.name for o in [*own, *added]}
    for o in node.body:
        if isinstance(o, ast.AnnAssign):
            body.append(f'    {ast.unparse(o)}')
            seen.add(ast.unparse(o.target))
        elif isinstance(o, ast.Assign):
            for t in targets(o):
                if isinstance(t, ast.Name) and t.id not in seen:
                    enum = any('Enum' in ast.unparse(b) for b in node.bases)
                    body.append(
                        f'    {t.id} = {ast.unparse(o.value)}' if enum else f'    {t.id}: {value_type(o.value)}'
                    )
                    seen.add(t.id)
    for k, kind in attributes([*own, *added]).items():
        if k not in seen:
            body.append(f'    {k}: {kind}')
    for o in [*own, *added]:
        body += function_lines(o, '    ', method=True)
    head = [*[o for o in decorators(node)], f'class {node.name}({bases}):' if bases else f'class {node.name}:']
    return head + (body or ['    ...'])


def module_of(path: Path) -> str:
    return '.'.join(('lesson7_lib', *path.relative_to(PACKAGE).with_suffix('').parts))


def imported(tree: ast.Module, path: Path) -> dict[str, str]:
    "Name -> the import statement that brings it, with absolute module names; also imports for type checkers only."
    statements = []
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            statements.append(node)
        elif isinstance(node, ast.If) and 'TYPE_CHECKING' in ast.unparse(node.test):
            statements += [o for o in node.body if isinstance(o, (ast.Import, ast.ImportFrom))]
    found = {}
    for node in statements:
        for a in node.names:
            name = a.asname or a.name
            if isinstance(node, ast.Import):
                found[name] = f'import {a.name}' + (f' as {a.asname}' if a.asname else '')
            else:
                base = module_of(path).split('.')[: -node.level] if node.level else []
                module = '.'.join([*base, *([node.module] if node.module else [])])
                found[name] = f'from {module} import {a.name}' + (f' as {a.asname}' if a.asname else '')
    found.pop('patch', None)
    return found


def aliases(tree: ast.Module) -> Iterator[tuple[str, str, str]]:
    "Class, other name and method of each line like `ItemList.split_none = ItemList.no_split`."
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Attribute):
            new, old = node.targets[0], node.value
            if isinstance(old, ast.Attribute) and ast.unparse(new.value) == ast.unparse(old.value):
                yield ast.unparse(new.value), new.attr, old.attr


def collect_patches(trees: dict[Path, ast.Module]) -> dict[str, list[tuple[Path, ast.FunctionDef]]]:
    "Class name -> the methods that are added to it, with the module that adds them."
    found: dict[str, list[tuple[Path, ast.FunctionDef]]] = {}
    for path, tree in trees.items():
        for node in tree.body:
            if is_patch(node):
                for name in owners(node):
                    found.setdefault(name, []).append((path, node))
    for tree in trees.values():
        for owner, name, old in aliases(tree):
            for path, node in [o for o in found.get(owner, []) if o[1].name == old]:
                node = copy.deepcopy(node)
                node.name = name
                found[owner].append((path, node))
    return found


def defined(tree: ast.Module) -> set[str]:
    "Names that a module makes itself."
    names = {o.name for o in tree.body if isinstance(o, (ast.ClassDef, ast.FunctionDef)) and not is_patch(o)}
    for node in tree.body:
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            names |= {t.id for t in targets(node) if isinstance(t, ast.Name)}
    return names


def stub(path: Path, trees: dict[Path, ast.Module], patches: dict[str, list[tuple[Path, ast.FunctionDef]]]) -> str:
    "The text of one stub."
    tree, lines, needed = trees[path], [], {}
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            added = patches.get(node.name, [])
            for p in {p for p, _ in added if p != path}:  # what the signatures of methods from other modules name
                needed.update(imported(trees[p], p))
                needed.update({n: f'from {module_of(p)} import {n}' for n in defined(trees[p]) if n != '__all__'})
            lines += class_lines(node, [m for _, m in added])
        elif isinstance(node, ast.FunctionDef) and not is_patch(node):
            lines += function_lines(node)
        elif isinstance(node, ast.AnnAssign):
            lines.append(f'{ast.unparse(node.target)}: {ast.unparse(node.annotation)}')
        elif isinstance(node, ast.Assign):
            for t in targets(node):
                if isinstance(t, ast.Name) and t.id == '__all__':
                    lines.append(ast.unparse(node))
                elif isinstance(t, ast.Name) and isinstance(node.value, ast.Name):
                    lines.append(f'{t.id} = {node.value.id}')
                elif isinstance(t, ast.Name):
                    lines.append(f'{t.id}: {value_type(node.value)}')
    needed = {'Any': 'from typing import Any', **needed, **imported(tree, path)}
    used = set(re.findall(r'\w+', '\n'.join(lines)))
    shown = {
        v for k, v in needed.items() if k not in defined(tree) and (k in used or v.split()[-1].split('.')[0] in used)
    }
    return HEADER + '\n'.join([*sorted(shown), '', *lines]) + '\n'


def main() -> None:
    modules = sorted(p for p in PACKAGE.rglob('*.py') if p.stem not in ('__init__', '_modidx', 'all'))
    trees = {p: ast.parse(p.read_text(encoding='utf-8')) for p in modules}
    patches = collect_patches(trees)
    for old in PACKAGE.rglob('*.pyi'):
        if old.with_suffix('.py') not in trees:
            old.unlink()
    for path in trees:
        text, to = stub(path, trees, patches), path.with_suffix('.pyi')
        ast.parse(text)
        if not to.is_file() or to.read_text(encoding='utf-8') != text:
            to.write_text(text, encoding='utf-8')


if __name__ == '__main__':
    sys.exit(main())
