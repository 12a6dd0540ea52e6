# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
Settings of the documentation site: ``make docs``.

The pages are Markdown that GitHub shows as well. The lists of links in ``index.md`` are the site's
navigation, so that no page is listed twice.
"""

from collections.abc import Callable
from contextlib import redirect_stdout, suppress
import io
from pathlib import Path
import re

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
import tyro

import diffusion_planner_ros
from diffusion_planner_ros.commands.__main__ import verbs

SOURCE = Path(diffusion_planner_ros.__file__).parents[1]  # rosdoc2 copies this file elsewhere
LINK = re.compile(r'^- \[[^\]]+\]\(([^)#]+)\.(?:md|rst)\)', re.MULTILINE)
TITLE_LINES = 4  # of the changelog
COLOUR = re.compile(r'\x1b\[[\d;]*m')
NUMBERS = re.compile(r'(?<=\d) (\+-|of) (?=\d)')  # '5,858 +- 14', '0 of 50'
# What --help prints: usage, what the verb does, arguments.
HELP = re.compile(r'(usage: .+?)\n\n(.*?)\n\n( (?:positional arguments|options)\n.*)', re.DOTALL)
SECTION = re.compile(r'^## (.+)\n((?:(?!^## ).*\n?)*)', re.MULTILINE)


def _version() -> str:
    text = (SOURCE / 'setup.py').read_text(encoding='utf-8')
    return re.search(r"version='([^']+)'", text).group(1)


project = 'diffusion_planner_ros'
copyright = 'diffusion_planner_ros developers, Apache-2.0'
release = version = _version()
extensions = ['myst_parser', 'sphinx.ext.autodoc', 'sphinx.ext.viewcode', 'sphinx_copybutton']
html_theme = 'furo'
rosdoc2_settings = {'allow_other_extensions': True, 'override_theme': False}
# What rosdoc2 puts beside the pages; without it there is none of these.
exclude_patterns = ['index.rst', '__*', 'README.md', 'CHANGELOG.rst', 'CONTRIBUTING.md',
                    'QUALITY_DECLARATION.md']
html_title = f'diffusion planner {release}'  # one word would be torn apart
html_show_sphinx = False
html_static_path = html_css_files = ['site.css']
html_theme_options = {'dark_css_variables': {
    'drawing-filter': 'invert(0.92) hue-rotate(180deg)', 'screen-filter': 'brightness(0.8)'}}
smartquotes = False  # options begin with two hyphens
myst_heading_anchors = 4  # the anchors that GitHub gives headings
suppress_warnings = [
    'myst.header',  # a page may begin with a heading of any level
    'ref.python',  # attributes that are named like a type, as Topic.type, are no fault
]
autodoc_member_order = 'bysource'
autodoc_typehints = 'signature'
python_maximum_signature_line_length = 88
autodoc_class_signature = 'separated'


def add_navigation(app: Sphinx, page: str, source: list[str]) -> None:
    """Append to the index a tree of contents for each of its sections."""
    if page == 'index':
        source[0] += ''.join(
            f'\n```{{toctree}}\n:hidden:\n:caption: {title}\n\n'
            + '\n'.join(LINK.findall(links)) + '\n```\n'
            for title, links in SECTION.findall(source[0]) if LINK.search(links))


def add_changelog(app: Sphinx, page: str, source: list[str]) -> None:
    """Append the changelog to its page: an include would not find it where rosdoc2 builds."""
    if page == 'reference/changelog':
        text = (SOURCE / 'CHANGELOG.rst').read_text(encoding='utf-8')
        source[0] += '\n' + text.split('\n', TITLE_LINES)[TITLE_LINES]


def keep_numbers_together(app: Sphinx, page: str, source: list[str]) -> None:
    """Let no narrow column of a table tear apart what :data:`NUMBERS` finds."""
    source[0] = '\n'.join(
        NUMBERS.sub('\N{NO-BREAK SPACE}\\1\N{NO-BREAK SPACE}', line) if line[:1] == '|' else line
        for line in source[0].split('\n'))


def help_of(name: str, verb: Callable[..., None]) -> str:
    """Return what ``diffusion_planner NAME --help`` prints, without colours."""
    printed = io.StringIO()
    with redirect_stdout(printed), suppress(SystemExit):
        tyro.cli(verb, prog=f'diffusion_planner {name}', args=['--help'])
    return re.sub(r' +$', '', COLOUR.sub('', printed.getvalue()), flags=re.MULTILINE).strip()


class Verbs(SphinxDirective):
    """A section for each verb of the command line, with what its ``--help`` prints."""

    def run(self) -> list[nodes.Node]:
        """Return the sections."""
        sections = []
        for name, verb in verbs().items():
            usage, about, options = HELP.match(help_of(name, verb)).groups()
            section = nodes.section('', nodes.title('', name), ids=[name])
            self.state.nested_parse(about.splitlines(), self.content_offset, section)
            section += nodes.literal_block('', f'{usage}\n\n{options}', language='none')
            sections.append(section)
        return sections


def setup(app: Sphinx) -> None:
    """Connect what this file adds to Sphinx."""
    app.add_directive('verbs', Verbs)
    app.connect('source-read', add_navigation)
    app.connect('source-read', add_changelog)
    app.connect('source-read', keep_numbers_together)
