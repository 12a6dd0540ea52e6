"""
Settings of the documentation site: ``make docs``.

The pages are Markdown that GitHub shows as well. The lists of links in ``index.md`` are the site's
navigation, so that no page is listed twice.
"""

from pathlib import Path
import re

from sphinx.application import Sphinx

HERE = Path(__file__).parent
LINK = re.compile(r'^- \[[^\]]+\]\(([^)#]+)\.(?:md|rst)\)', re.MULTILINE)
SECTION = re.compile(r'^## (.+)\n((?:(?!^## ).*\n?)*)', re.MULTILINE)


def _version() -> str:
    text = (HERE.parent / 'setup.py').read_text(encoding='utf-8')
    return re.search(r"version='([^']+)'", text).group(1)


project = 'diffusion_planner_ros'
copyright = 'diffusion_planner_ros developers, Apache-2.0'
release = version = _version()
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.viewcode', 'sphinx_copybutton']
html_theme = 'furo'
html_title = f'{project} {release}'
html_show_sphinx = False
myst_heading_anchors = 4  # the anchors that GitHub gives headings
suppress_warnings = ['myst.header']  # a page may begin with a heading of any level
autodoc_member_order = 'bysource'
autodoc_typehints = 'description'
autodoc_class_signature = 'separated'


def add_navigation(app: Sphinx, page: str, source: list[str]) -> None:
    """Append to the index a tree of contents for each of its sections."""
    if page == 'index':
        source[0] += ''.join(
            f'\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n'
            + '\n'.join(LINK.findall(links)) + '\n```\n'
            for title, links in SECTION.findall(source[0]) if LINK.search(links))


def setup(app: Sphinx) -> None:
    """Connect what this file adds to Sphinx."""
    app.connect('source-read', add_navigation)
