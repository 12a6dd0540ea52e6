# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""README and docs/ say what the code does: tables, commands, Python, links, files, interfaces."""

import functools
import importlib
import re
import runpy
import shlex

from paths import SOURCE
import pytest
from ros_processes import observer, running, spin_until
import setuptools
import tyro

from diffusion_planner_ros.commands.__main__ import verbs
from diffusion_planner_ros.nodes.common.diagnostics import facts_from_msg, VALUES
from diffusion_planner_ros.nodes.common.topics import (
    COMMANDS,
    DIAGNOSTICS,
    NAVIGATION,
    NODES,
    reliability_of,
)
from diffusion_planner_ros.nodes.planner_node import CONFIGS
from diffusion_planner_ros.settings import settings_of

README = SOURCE / 'README.md'
DOCS = SOURCE / 'docs'
PAGES = [README, *sorted(DOCS.rglob('*.md'))]
# Not of the documentation, but what they link and name has to be there as well.
OTHERS = [*(page for page in sorted(SOURCE.glob('*.md')) if page != README),
          SOURCE / 'examples' / 'README.md']
EXTEND = DOCS / 'tutorials' / 'extend.md'  # its code makes new files: it has a test of its own
TABLES = runpy.run_path(str(DOCS / 'tables.py'))
MAX_README = 180  # lines, which take three minutes to read
# Where a file that a page names may be, and folders that commands write.
PLACES = [SOURCE / place for place in ('', 'diffusion_planner_ros', 'test', 'docs')]
WRITTEN = {'data/walker2d/', 'diagnosis/', 'dist/', 'runs/', 'soak/', 'src/', 'walk/'}
# What every rclpy node, or every managed one, has, of no interest to a reader.
STANDARD = re.compile(
    r'/(rosout|parameter_events|transition_event)$|^(rcl_interfaces|type_description_interfaces|'
    r'lifecycle_msgs)/')


def each_page(*, but=()):
    return pytest.mark.parametrize('page', [p for p in (*PAGES, *OTHERS) if p not in but],
                                   ids=lambda page: page.name)


def code_of(page, language):
    """Return the blocks of code of a page."""
    return re.findall(rf'^```{language}\n(.*?)^```', page.read_text(), re.DOTALL | re.MULTILINE)


def prose_of(page):
    return re.sub(r'^```.*?^```', '', page.read_text(), flags=re.DOTALL | re.MULTILINE)


def test_the_readme_takes_three_minutes():
    assert len(README.read_text().splitlines()) <= MAX_README


@each_page()
def test_tables_are_what_the_code_says(page):
    text = page.read_text()
    assert TABLES['with_tables'](text) == text, 'run: python docs/tables.py'


def test_every_table_of_the_code_is_in_a_page():
    pages = ''.join(page.read_text() for page in PAGES)
    marked = re.findall(r'^<!-- table: (\S+) -->$', pages, re.MULTILINE)
    assert set(marked) == set(TABLES['TABLES'])


def commands_of(page):
    """Return what a page tells a reader to type after ``diffusion_planner``, word by word."""
    for block in code_of(page, 'sh'):
        for line in block.replace('\\\n', ' ').splitlines():
            words = shlex.split(line, comments=True)
            if words[:1] == ['diffusion_planner']:
                yield words[1:]


def parsed(words):
    """Parse a command without running it."""
    def parsing(verb):
        return functools.wraps(verb)(lambda *values, **named: None)
    tyro.extras.subcommand_cli_from_dict(
        {name: parsing(verb) for name, verb in verbs().items()}, args=words)


@each_page()
def test_every_command_in_a_block_is_understood(page, capsys):
    for words in commands_of(page):
        try:
            parsed(words)
        except SystemExit as end:
            assert not end.code, f'{" ".join(words)}\n{capsys.readouterr().err}'


def test_an_option_that_is_not_there_would_be_noticed():
    with pytest.raises(SystemExit) as end:
        parsed(['walk', '--no-such-option'])
    assert end.value.code


@each_page(but=[EXTEND])
def test_python_in_a_page_runs_as_it_stands(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {}
    for block in code_of(page, 'python'):
        exec(compile(block, page.name, 'exec'), names)


def anchors_of(page):
    """Return the anchors that GitHub gives the headings of a page."""
    headings = re.findall(r'^#+ (.*)$', prose_of(page), re.MULTILINE)
    return {re.sub(r'[^\w\- ]', '', h.lower()).replace(' ', '-') for h in headings}


@each_page()
def test_every_link_leads_to_a_file_and_a_heading_that_are_there(page):
    links = re.findall(r'\]\(([^)]+)\)|src="([^"]+)"', prose_of(page))
    for link in (a or b for a, b in links):
        if '://' in link:
            continue
        name, _, anchor = link.partition('#')
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors_of(target), link


@each_page()
def test_every_test_that_is_named_exists(page):
    named = set(re.findall(r'`(test_\w+\*?)`', page.read_text()))
    assert {name for name in named if not list((SOURCE / 'test').rglob(f'{name}.py'))} == set()


@each_page()
def test_every_file_and_folder_that_is_named_exists(page):
    for name in re.findall(r'`([\w./-]+(?:\.py|\.yaml|\.urdf|\.rviz|\.md|/))`', prose_of(page)):
        places = [place / name for place in PLACES]
        is_there = any(place.exists() for place in places) or name in WRITTEN
        if '/' not in name:  # a file by its name alone
            is_there = is_there or any(list((SOURCE / folder).rglob(name)) for folder in (
                'config', 'diffusion_planner_ros', 'docs', 'launch', 'models', 'test'))
        assert is_there, name


def test_what_a_workspace_is_told_to_install_is_what_the_package_needs(monkeypatch):
    section = (DOCS / 'how_to' / 'install.md').read_text().split('## In a ROS 2 workspace')[1]
    told = {word for line in re.findall(r'^pip install (.*)$', section, re.MULTILINE)
            for word in line.partition('#')[0].split()}
    handed = {}
    monkeypatch.chdir(SOURCE)
    monkeypatch.setattr(setuptools, 'setup', lambda **arguments: handed.update(arguments))
    runpy.run_path('setup.py')
    needed = {re.match(r'[\w-]+', requirement).group() for extra in (
        'robot', 'sim', 'train', 'mcap', 'recordings', 'view')
              for requirement in handed['extras_require'][extra]}
    assert told == needed - {'numpy', 'PyYAML'} | {'colcon-common-extensions'}  # ROS has these


def test_every_module_of_the_pages_on_python_exists():
    pages = ''.join(page.read_text() for page in (DOCS / 'reference' / 'api').glob('*.md'))
    modules = re.findall(r'automodule:: (\S+)', pages)
    assert modules
    for name in modules:
        importlib.import_module(name)


@pytest.mark.slow
def test_the_figures_of_the_concepts_can_be_drawn(tmp_path):
    figures = runpy.run_path(str(DOCS / 'figures.py'))
    figures['draw_all'](tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {
        'denoising.png', 'guidance_strength.png', 'monitor_score.png'}


def test_every_page_is_in_the_index():
    linked = set(re.findall(r'\]\(([\w/-]+\.md)\)', (DOCS / 'index.md').read_text()))
    assert linked == {str(page.relative_to(DOCS)) for page in PAGES[1:]} - {'index.md'}


def documented_interfaces():
    """Return (node, direction, name, type, reliability) as the table of the page has them."""
    return {(node.node_name, direction, f'/{topic.path.removeprefix("/")}', topic.ros_type,
             reliability)
            for node in NODES for direction, topic, reliability in (
                *(('in', e.topic, reliability_of(e.qos)) for e in node.subscribed),
                *(('out', e.topic, reliability_of(e.qos)) for e in node.published),
                *(('service', s, '') for s in node.services))}


def interfaces_of(observer, node):
    """Return the same of a running node, as the ROS graph knows it."""
    found = set()
    for direction, query, endpoints in (
            ('out', observer.get_publisher_names_and_types_by_node,
             observer.get_publishers_info_by_topic),
            ('in', observer.get_subscriber_names_and_types_by_node,
             observer.get_subscriptions_info_by_topic)):
        for name, types in query(node, '/'):
            if STANDARD.search(name):
                continue
            qos = next(e.qos_profile for e in endpoints(name) if e.node_name == node)
            found.add((node, direction, name, types[0].replace('/msg/', '/'),
                       reliability_of(qos)))
    for name, types in observer.get_service_names_and_types_by_node(node, '/'):
        if not STANDARD.search(types[0]):
            found.add((node, 'service', name, types[0].replace('/srv/', '/'), ''))
    return found


def test_topics_services_and_diagnostics_are_what_the_nodes_offer(tmp_path):
    with (running('mujoco_bridge', tmp_path) as bridge,
          running('planner', tmp_path, use_sim_time=True,
                  odometry_joints=['rootx=x']) as planner,
          running('recorder', tmp_path, file=str(tmp_path / 'log.hdf5'), torque_source='commands',
                  odometry_joints=['rootx=x']),
          running('mcap_recorder', tmp_path, file=str(tmp_path / 'run.mcap')),
          observer() as node):
        names = {n.node_name for n in NODES}
        # test_navigation has a robot that knows goals.
        goals = {f'/{topic.path}' for topic in NAVIGATION}
        expected = {i for i in documented_interfaces()
                    if i[0] == 'mcap_recorder' or i[2] not in goals}
        reports = {}

        def on_diagnostics(msg):
            for name in names:
                if (report := facts_from_msg(msg, name)) is not None:
                    reports[name] = set(report)
        heard = node.create_subscription(DIAGNOSTICS.type, DIAGNOSTICS.path, on_diagnostics, 100)

        def found():
            there = node.get_node_names()
            return set().union(*(interfaces_of(node, n) for n in names if n in there))

        # It listens for others only until it has commanded alone for some seconds.
        passing = {i for i in expected
                   if i[:3] == ('planner', 'in', f'/{COMMANDS.path}')}
        assert passing
        spin_until(node, lambda: len(found() | passing) >= len(expected), 'all nodes', planner)
        assert found() | passing == expected, bridge.output
        parameters = {s.name for config in CONFIGS for s in settings_of(config)}
        keys = {name: {key for row in VALUES[name] for key in row} for name in names}
        keys['planner'] |= parameters
        surprising = {name for name in keys['planner'] if name.startswith(('ood_score', 'pred'))}
        # Told only of states that came.
        keys['planner'] -= surprising | {'state_deviation', 'state_jump'}
        spin_until(node, lambda: all(len(reports.get(name, ())) >= len(keys[name])
                                     for name in names), 'all values of all reports', planner)
        for name in names:
            assert reports[name] == keys[name], name
        node.destroy_subscription(heard)
