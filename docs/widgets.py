"""Widgets that a notebook has saved, as plain HTML that moves without a kernel (see _static/site.js)."""

from html import escape


def _model(ref):
    return ref.removeprefix('IPY_MODEL_')


def _links(state):
    "dict: model -> list of (attribute of it, model tied to it, attribute of that one)."
    ties = [o['state'] for o in state.values() if o['model_name'] in ('LinkModel', 'DirectionalLinkModel')]
    res = {}
    for o in ties:
        res.setdefault(_model(o['source'][0]), []).append((_model(o['target'][0]), o['target'][1]))
    return res


def _buffers(o):
    "The base64 text of a widget's picture."
    return next((b['data'] for b in o.get('buffers', []) if b['path'] == ['value']), '')


def _box(key, s, child, ties, way):
    return f'<div class="w-box w-{way}" data-w="{key}">' + ''.join(map(child, s['children'])) + '</div>'


def _slider(key, s, child, ties):
    to = ' '.join(f'{k}:{attr}' for k, attr in ties.get(key, []))
    off = '' if to else ' disabled title="moves in a running notebook"'
    nums = ' '.join(f'{k}="{s.get(k, d)}"' for k, d in dict(min=0, max=100, step=1, value=0).items())
    read = f'<output>{s.get("value", 0)}</output>' if s.get('readout', True) else ''
    name = escape(s.get('description') or 'value')
    return f'<label class="w-slider"><span>{name}</span><input type="range" {nums} data-w="{key}" data-to="{to}"{off}>{read}</label>'


def _stack(key, s, child, ties):
    now = s.get('selected_index') or 0
    pages = [f'<div{"" if i == now else " hidden"}>{child(o)}</div>' for i, o in enumerate(s['children'])]
    return f'<div class="w-stack" data-w="{key}">' + ''.join(pages) + '</div>'


_widgets = dict(
    VBoxModel=lambda *a: _box(*a, 'column'),
    HBoxModel=lambda *a: _box(*a, 'row'),
    BoxModel=lambda *a: _box(*a, 'row'),
    IntSliderModel=_slider,
    FloatSliderModel=_slider,
    StackModel=_stack,
    LabelModel=lambda key, s, *_: f'<span data-w="{key}">{escape(s["value"])}</span>',
    HTMLModel=lambda key, s, *_: f'<div data-w="{key}">{s["value"]}</div>',
)


def widget_html(
    states,  # the `state` of all widgets, as the notebook keeps it
    key,  # the model to draw
):  # HTML
    "A saved widget as plain HTML."
    ties = _links(states)

    def draw(ref):
        o = states.get(_model(ref))
        if o is None:
            raise ValueError(
                f'the state of widget {_model(ref)} is not saved in the notebook: run it again and save it'
            )
        name, s = o['model_name'], o['state']
        if name == 'ImageModel':
            return f'<img alt="picture of the widget" src="data:image/{s.get("format", "png")};base64,{_buffers(o)}">'
        if name not in _widgets:
            raise ValueError(f'no way to draw a {name} on a page; there are {sorted(_widgets)}, ImageModel')
        return _widgets[name](_model(ref), s, draw, ties)

    return f'<div class="l7-widget">{draw(key)}</div>'
