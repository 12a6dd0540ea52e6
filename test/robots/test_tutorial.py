"""The page "Tutorial": what it tells a reader to do is done here, in its order, in small."""

from contextlib import redirect_stdout
import io
import json
import os
from pathlib import Path
import re
import runpy
import shlex
import subprocess
import sys

from lifecycle import Health
from paths import SOURCE
import pytest
from ros_processes import environment, observer, spin_until, STOP_TIME

from diffusion_planner_ros.commands.__main__ import main
from diffusion_planner_ros.robots.robot_folder import SEARCH_PATH
from diffusion_planner_ros.sim.behaviour import behaviour_data, behaviour_policy

PAGE = (SOURCE / 'docs' / 'tutorials' / 'own_robot.md').read_text()
BLOCK = re.compile(r'^```(xml|yaml|sh)\n(.*?)^```', re.DOTALL | re.MULTILINE)
NAME = re.compile(r'(?:<!--|#) (\S+\.(?:xml|yaml))')  # in the first line of a file's block
# What makes a verb quick, in place of the page's own or beside it.
SMALL = {
    'collect': '--n-learn 512 --n-transitions 300',
    'train': '--n-updates 40 --width 16 --depth 1 --dynamics-depth 1 --value-width 16 --horizon 4',
    'evaluate': '--episodes 1 --processes 1 --planner.n-candidates 1',
    'walk': '--lockstep --no-video --no-view --planner.n-candidates 1'}
REPORTING = ('new-robot', 'collect', 'train', 'export', 'evaluate', 'walk')
pytestmark = pytest.mark.filterwarnings('ignore:You have specified a mini-batch size')


def steps():
    """Return the files and the lines of the shell that the page has, in their order."""
    for language, code in BLOCK.findall(PAGE):
        if language != 'sh':
            yield 'file', code
            continue
        for line in code.replace('\\\n', ' ').splitlines():
            yield shlex.split(line)[0], line


def small(words):
    """Return the words of a verb with small numbers."""
    words, options = list(words), shlex.split(SMALL.get(words[0], ''))
    while options:
        option = options.pop(0)
        value = [options.pop(0)] if options and not options[0].startswith('--') else []
        if option in words:
            at = words.index(option)
            del words[at:at + 1 + len(value)]
        words += [option, *value]
    return words


@pytest.fixture(scope='module')
def reports(tmp_path_factory):
    """Do all that comes before the nodes; give the report of every verb, by its name."""
    folder, done = tmp_path_factory.mktemp('tutorial'), {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, value in {**environment(), 'MINARI_DATASETS_PATH': '', SEARCH_PATH: ''}.items():
            patch.setenv(name, value)
        for name, value in (('N_ENVS', 2), ('ROLLOUT_STEPS', 128), ('CHECKPOINT_ROLLOUTS', 1)):
            patch.setattr(behaviour_policy, name, value)
        patch.setattr(behaviour_data, 'POLICY_SEEDS', range(2))
        patch.setattr(behaviour_data, 'N_SIMULATORS', 2)
        for kind, text in steps():
            if kind == 'file':
                Path(NAME.match(text).group(1)).write_text(text)
            elif kind == 'sed':
                subprocess.run(text, shell=True, check=True)
            elif kind == 'diffusion_planner':
                words = small(shlex.split(text)[1:])
                done[words[0]] = run_verb(patch, words)
        yield done


def run_verb(patch, words):
    """Run a verb as the command line does, and return its report."""
    patch.setattr(sys, 'argv', ['diffusion_planner', *words, '--json'])
    with redirect_stdout(io.StringIO()) as out:
        main()
    return json.loads(out.getvalue())


def test_the_model_becomes_a_robot_that_learns_and_moves(reports):
    assert list(reports) == list(REPORTING)
    assert 'wheel may turn without end' in ' '.join(reports['new-robot']['to_do'].values())
    assert reports['collect']['medium-expert']['transitions'] >= 300
    assert reports['evaluate']['episodes'] == 1
    assert 0 < reports['evaluate']['return_mean'] < 500
    assert reports['walk']['episode_steps'][0] > 0
    assert len(reports['walk']['returns']) == 1


def test_the_nodes_that_it_starts_one_by_one_move_the_robot(reports, monkeypatch):
    del reports  # the bundle is there then
    exported = [text.split()[1].split('=') for kind, text in steps() if kind == 'export']
    for name, value in exported:
        monkeypatch.setenv(name, value.replace('$PWD', os.getcwd()))
    assert [name for name, _ in exported] == [SEARCH_PATH]
    lines = [shlex.split(text) for kind, text in steps()
             if kind == 'ros2' and 'run' in text.split()]
    assert [line[3] for line in lines] == ['mujoco_bridge', 'planner']
    nodes = [subprocess.Popen([sys.executable, '-m', 'diffusion_planner_ros.nodes', *line[3:]],
                              env=environment(), stdout=subprocess.DEVNULL) for line in lines]
    try:
        with observer() as node:
            bridge = Health(node, 'mujoco_bridge')
            spin_until(node, lambda: int(bridge.facts.get('total_steps', 0)) > 20, 'a walk')
    finally:
        for process in nodes:
            process.terminate()
        assert [process.wait(STOP_TIME) for process in nodes] == [0, 0]


def test_the_launch_line_names_arguments_and_paths_that_are_there(reports):
    del reports
    (line,) = (shlex.split(text) for kind, text in steps()
               if kind == 'ros2' and 'launch' in text.split())
    *_, package, file, robot, bundle = line
    assert package == 'diffusion_planner_ros'
    declared = runpy.run_path(str(SOURCE / 'docs' / 'tables.py'))['launch_table'](file)
    for argument in (robot, bundle):
        name, _, path = argument.partition(':=')
        assert f'`{name}`' in declared
        assert Path(path).is_dir()
