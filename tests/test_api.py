"""The public interface: type hints, documented parameters, standard words, and what the star import brings."""

import ast
import inspect
import re

import pytest
from project import notebooks

NOTEBOOKS = notebooks()
# the left column of the project's word list, as parts of a name
WORDS = (
    'slope room house floor keep kept recipe game umpire judge judged eye eyes seeing looking spoil spoilt mend mended memory remember stretch '
    'laid layout spread looks twin rest shall figure'
).split()
# names of the lecture, of PyTorch and of geometry that hold such a word in its ordinary sense
ORDINARY = {'nearest', 'restore', 'share_memory', 'memory_format', 'channels_last', 'is_in_memory'}


def parts(name: str) -> list[str]:
    "The words of a name: `SpoilReport` and `spoil_report` both give spoil, report."
    return [o.lower() for o in re.findall(r'[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+', name)]


def is_patch(node: ast.FunctionDef) -> bool:
    return any(ast.unparse(d).split('(')[0] in ('patch', 'fastcore.basics.patch') for d in node.decorator_list)


def functions(nb):
    "(qualified name, node, is a method) for every public exported function and method, constructors included."
    for node in ast.parse(nb.module_file.read_text(encoding='utf-8')).body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith('_'):
            first = node.args.args[0].annotation if is_patch(node) and node.args.args else None
            if first is not None and ast.unparse(first).startswith('_'):  # a method of a private class
                continue
            yield (f'{ast.unparse(first)}.' if first is not None else '') + node.name, node, is_patch(node)
        elif isinstance(node, ast.ClassDef) and not node.name.startswith('_'):
            for o in node.body:
                if isinstance(o, ast.FunctionDef) and (o.name == '__init__' or not o.name.startswith('_')):
                    static = any(ast.unparse(d) == 'staticmethod' for d in o.decorator_list)
                    yield f'{node.name}.{o.name}', o, not static


def arguments(node: ast.FunctionDef, method: bool) -> list[ast.arg]:
    a = node.args
    args = [*a.posonlyargs, *a.args][1 if method else 0 :] + a.kwonlyargs
    return [*args, *(o for o in (a.vararg, a.kwarg) if o is not None)]


@pytest.mark.parametrize('nb', NOTEBOOKS, ids=lambda nb: nb.name)
def test_type_hints(nb):
    "Every parameter and every return value of what is exported has a type hint."
    bad = []
    for name, node, method in functions(nb):
        bad += [f'{name}: {o.arg}' for o in arguments(node, method) if o.annotation is None]
        if node.returns is None and node.name != '__init__':
            bad.append(f'{name}: return')
    assert not bad, f'{len(bad)} without a type hint: ' + '; '.join(bad[:12])


@pytest.mark.parametrize('nb', NOTEBOOKS, ids=lambda nb: nb.name)
def test_documented(nb):
    """Every exported function has a docstring, and every parameter of a module's function or class a comment in
    the docment layout."""
    bad, source = [], nb.module_file.read_text(encoding='utf-8').splitlines()
    for name, node, method in functions(nb):
        nested = '.' in name and not is_patch(node)
        if not nested and not ast.get_docstring(node):
            bad.append(f'{name}: no docstring')
        if nested and node.name != '__init__':
            continue
        for o in arguments(node, method):
            default = node.args.defaults and max(
                (d.end_lineno for d in node.args.defaults if d.lineno == o.lineno), default=0
            )
            end = max(o.end_lineno, default or 0)
            text = ' '.join(source[o.lineno - 1 : end + 1])
            if '#' not in text and len(arguments(node, method)) > 1:
                bad.append(f'{name}: {o.arg} has no comment')
    assert not bad, f'{len(bad)} not documented: ' + '; '.join(bad[:12])


@pytest.mark.parametrize('nb', NOTEBOOKS, ids=lambda nb: nb.name)
def test_words(nb):
    "Exported names are standard technical English."
    tree = ast.parse(nb.module_file.read_text(encoding='utf-8'))
    names = {n.name for n in tree.body if isinstance(n, ast.ClassDef)}
    names |= {name.rpartition('.')[2] for name, _, _ in functions(nb)}
    names |= {o.arg for _, node, method in functions(nb) for o in arguments(node, method)}
    names |= {t.id for n in tree.body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)}
    public = {n for n in names if not n.startswith('_') and n not in ORDINARY}
    bad = sorted(n for n in public if set(parts(n)) & set(WORDS))
    assert not bad, f'names in a private dialect: {bad}'


def test_words_are_seen():
    assert parts('SpoilReport') == parts('spoil_report') == ['spoil', 'report']
    assert {'keep', 'rng'} == set(parts('keep_rng'))


def test_star_import():
    "The lecture's names and the public interface, 200 to 325, each documented where it comes from."
    import lesson7_lib.all as everything

    names = everything.__all__
    assert len(names) == len(set(names)), 'a name twice'
    assert 200 <= len(names) <= 325, len(names)
    missing = [n for n in names if not hasattr(everything, n)]
    assert not missing, missing
    ours = [n for n in names if getattr(getattr(everything, n), '__module__', '').startswith('lesson7_lib')]
    bare = [n for n in ours if callable(getattr(everything, n)) and not inspect.getdoc(getattr(everything, n))]
    assert not bad_names(names) and not bare, (bad_names(names), bare)


def bad_names(names: list[str]) -> list[str]:
    "Names that cover one of Python's own, or are private."
    import builtins

    return [n for n in names if hasattr(builtins, n) or n.startswith('_')]


def test_importing_changes_nothing():
    "Only `all` applies the shims; they can be undone."
    import torch

    import lesson7_lib.all  # noqa: F401
    from lesson7_lib.lecture import apply_lecture_shims, undo_lecture_shims

    undo_lecture_shims()
    plain = torch.Tensor.cuda
    apply_lecture_shims()
    apply_lecture_shims()
    undo_lecture_shims()
    assert torch.Tensor.cuda is plain
    apply_lecture_shims()
