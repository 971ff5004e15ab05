"""The entries of the reference: name, signature, docstring, and a table of parameters from the docments."""

import ast
import inspect

from fastcore.docments import docments


def _owners(o):
    "The classes that a method is patched to, from the annotation of its first argument; [''] for a plain definition."
    patched = any(ast.unparse(d).startswith('patch') for d in o.decorator_list)
    first = o.args.args[0].annotation if patched and o.args.args else None
    if first is None:
        return ['']
    return [a.strip() + '.' for a in ast.unparse(first).strip('()').split('|') if not a.strip().startswith('_')]


def documented(
    source,  # source of an exported cell
):  # list of names: `f`, `Class`, `Class.method` for patched methods
    "The public names that a cell adds to its module."
    defs = [
        o
        for o in ast.parse(source).body
        if isinstance(o, (ast.FunctionDef, ast.ClassDef)) and not o.name.startswith('_')
    ]
    return [pre + o.name for o in defs for pre in (_owners(o) if isinstance(o, ast.FunctionDef) else [''])]


def _default(o):
    "A default value as a reader wants it."
    if isinstance(o, (set, frozenset)):
        return repr(sorted(o, key=str))
    if inspect.isroutine(o) or inspect.isclass(o) or inspect.ismodule(o):
        return getattr(o, '__name__', str(o))
    text = str(o) if type(o).__module__ == 'enum' or hasattr(o, '_value_') else repr(o)
    return (
        text if '<' not in text else text.split(' at 0x')[0].strip('<>').replace('function ', '').replace('class ', '')
    )


class _Shown:
    "A default whose repr is what a reader wants."

    def __init__(self, o):
        self.text = _default(o)

    def __repr__(self):
        return self.text


def signature_text(
    obj,  # function or class
):  # text such as `(n, rate=0.1, *, quiet=False)`, '' where Python knows none
    "The signature in one line, without types and addresses."
    try:
        sig = inspect.signature(obj)
    except (TypeError, ValueError):
        return ''
    empty = inspect.Parameter.empty

    def shown(p):
        return p.replace(annotation=empty, default=p.default if p.default is empty else _Shown(p.default))

    ps = [shown(p) for k, p in sig.parameters.items() if k not in ('self', 'cls')]
    return str(sig.replace(parameters=ps, return_annotation=inspect.Signature.empty))


def _type(o):
    "A type hint as text."
    if o in (None, inspect.Parameter.empty):
        return ''
    text = o if isinstance(o, str) else getattr(o, '__name__', str(o)) if inspect.isclass(o) else str(o)
    for prefix in ('typing.', 'collections.abc.', 'pathlib.', 'torch.', 'NoneType'):
        text = text.replace(prefix, 'None' if prefix == 'NoneType' else '')
    return text


def api_table(
    obj,  # function or class
):  # markdown, '' where no parameter has a comment
    "The parameters of `obj` with types, defaults and docments, as a table."
    try:
        ps = [p for k, p in inspect.signature(obj).parameters.items() if k not in ('self', 'cls')]
        said = docments(obj, full=True, returns=True, args_kwargs=True)
    except (TypeError, ValueError, OSError, SyntaxError):
        return ''

    def code(o):
        return f'`{o}`' if o else ''

    rows, stars = [], {'VAR_KEYWORD': '**', 'VAR_POSITIONAL': '*'}
    for p in ps:
        about = said.get(p.name)
        default = '' if p.default is inspect.Parameter.empty else _default(p.default)
        name = stars.get(p.kind.name, '') + p.name
        rows.append([code(name), code(_type(p.annotation)), code(default), (about and about.docment) or ''])
    back = said.get('return')
    if back is not None and not inspect.isclass(obj) and (back.docment or _type(back.anno) not in ('', 'None')):
        rows.append(['*returns*', code(_type(back.anno)), '', back.docment or ''])
    if not any(r[3] for r in rows):
        return ''
    head = ['parameter', 'type', 'default', 'what it is']
    shown = [i for i in range(4) if any(r[i] for r in rows)]

    def line(r):
        return '| ' + ' | '.join(r[i].replace('|', '\\|').replace('\n', ' ') for i in shown) + ' |'

    return '\n'.join([line(head), '|' + '---|' * len(shown), *map(line, rows)])


def find_name(
    module,  # imported module
    name,  # `f`, `Class` or `Class.method`
):  # the object, or None when the module does not have it
    "The object behind a documented name."
    obj = module
    for o in name.split('.'):
        obj = inspect.getattr_static(obj, o, None) if inspect.isclass(obj) else getattr(obj, o, None)
    return getattr(obj, '__func__', obj)


def api_entry(
    obj,  # the function, class, method or property
    name,  # its documented name
    module='',  # full name of its module
    anchors=(),  # ids that the page has already
    source='',  # address of its source
):  # markdown with a directive of Sphinx
    "Name, signature, docstring and table of parameters as an entry of the site."
    prop = obj.fget if isinstance(obj, property) else None
    kind = 'property' if prop else 'class' if inspect.isclass(obj) else 'method' if '.' in name else 'function'
    doc = inspect.cleandoc(obj.__doc__ or '') if obj.__doc__ else ''
    mark = '' if name.lower() in anchors else f'<a class="api-anchor" id="{name.lower()}"></a>\n\n'
    more = [o for o in (doc, '' if prop else api_table(obj), f'[source]({source}){{.source}}' if source else '') if o]
    head = f'````{{py:{kind}}} {name}{"" if prop else signature_text(obj)}\n:module: {module}\n\n'
    return mark + head + '\n\n'.join(more) + '\n````'
