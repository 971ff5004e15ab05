"""Formulas as MathML, made while the site is built: browsers draw it themselves, so no page loads a program for its formulas."""

from docutils.nodes import SkipNode
from latex2mathml.converter import convert


def _write(visitor, node, tag, display):
    "One formula, and no visit to what is inside."
    visitor.body.append(visitor.starttag(node, tag, '', CLASS='math notranslate nohighlight'))
    visitor.body.append(f'{convert(node.astext(), display=display)}</{tag}>')
    raise SkipNode


def inline(visitor, node):
    "A formula in a line."
    _write(visitor, node, 'span', 'inline')


def displayed(visitor, node):
    "A formula that stands alone."
    _write(visitor, node, 'div', 'block')


def setup(app):
    "An extension of Sphinx: the renderer of formulas that conf.py names."
    app.add_html_math_renderer('mathml', (inline, None), (displayed, None))
    return dict(parallel_read_safe=True, parallel_write_safe=True)
