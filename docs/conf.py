"""Configuration of Sphinx for the docs site. `lesson7_docs` puts it beside the staged pages; what belongs to the
project is in site.json."""

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))  # formulas.py

site = json.loads(Path(__file__).with_name('site.json').read_text(encoding='utf-8'))
project, author, release = site['lib'], site['author'], site['version']
copyright = site['copyright']

extensions = ['myst_nb', 'sphinx_design', 'sphinx_copybutton', 'formulas']
exclude_patterns = ['extra', 'notebooks', 'README.md']
nitpicky = True  # a reference that leads nowhere is a warning, and the command makes errors of warnings
suppress_warnings = ['myst.header']  # a page may go from ## to ####

nb_execution_mode = 'off'  # pages carry the outputs that are kept in the notebooks
nb_render_markdown_format = 'myst'
nb_merge_streams = True
nb_ipywidgets_js = {}  # widgets are plain HTML already
myst_enable_extensions = ['dollarmath', 'amsmath', 'colon_fence', 'attrs_inline', 'attrs_block', 'deflist', 'tasklist']
myst_heading_anchors = 4
add_module_names = False
toc_object_entries_show_parents = 'hide'
python_maximum_signature_line_length = None

html_math_renderer = 'mathml'  # of formulas.py

html_theme = 'furo'
html_title, html_baseurl = site['lib'], site['base'] + '/'
html_favicon = '_static/logo.svg'
html_logo = '_static/logo.svg'
html_static_path, html_extra_path = ['_static'], ['extra']
html_css_files, html_js_files = ['site.css'], ['site.js']
html_show_sourcelink = html_copy_source = False
html_last_updated_fmt = None
pygments_style, pygments_dark_style = 'default', 'github-dark'


def colours(brand, quiet):
    return {f'color-{k}': brand for k in ('brand-primary', 'brand-content', 'api-name')} | {'color-api-pre-name': quiet}


html_theme_options = dict(
    navigation_with_keys=True,
    top_of_page_buttons=[],
    light_css_variables=colours('#1d5fc4', '#6b7280'),
    dark_css_variables=colours('#7fb2ff', '#9aa4b2'),
)
copybutton_exclude = '.linenos, .gp, .go'
