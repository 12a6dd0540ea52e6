# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Do what a tutorial tells its reader to do, in its order, with small numbers."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
import io
import json
from pathlib import Path
import re
import shlex
import subprocess
import sys
from typing import Any

from paths import SOURCE
import pytest
from ros_processes import environment

from diffusion_planner_ros.commands.__main__ import main
from diffusion_planner_ros.robots.robot_folder import SEARCH_PATH
from diffusion_planner_ros.sim.behaviour import behaviour_data, behaviour_policy

BLOCK = re.compile(r'^ *```(xml|yaml|sh)\n(.*?)^ *```$', re.DOTALL | re.MULTILINE)
FILE_NAME = re.compile(r'(?:<!--|#) (\S+\.(?:xml|yaml))')  # in the first line of a file's block
VERB = 'diffusion_planner'
# Verbs that take seconds, in place of what the page says or beside it.
QUICK = {
    'collect': '--n-learn 512 --n-transitions 300',
    'train': '--n-updates 40 --width 16 --depth 1 --dynamics-depth 1 --value-width 16 --horizon 4',
    'evaluate': '--episodes 1 --processes 1 --planner.n-candidates 1',
    'walk': '--lockstep --no-video --no-view --planner.n-candidates 1'}


@dataclass(frozen=True)
class Step:
    """Something to do: a line of the shell, or a file to write."""

    program: str
    """First word of the line; 'file' for a file."""
    text: str
    """The line, without its comment, or the text of the file."""

    @property
    def words(self) -> list[str]:
        """What is typed, word by word."""
        return shlex.split(self.text)


class Tutorial:
    """
    A page of ``docs/tutorials``, and somebody who does what it says.

    :param name: of the file, as ``own_robot.md``.
    :param quick: options of verbs for this page, over those of ``QUICK``.
    """

    def __init__(self, name: str, quick: Mapping[str, str] | None = None) -> None:
        self.text = (SOURCE / 'docs' / 'tutorials' / name).read_text()
        self.steps = [step for language, block in BLOCK.findall(self.text)
                      for step in _steps(language, block)]
        self._quick = {**QUICK, **(quick or {})}
        self.reports: dict[str, list[dict[str, Any]]] = defaultdict(list)
        """Of every verb, one for each time that the page says it."""

    def of(self, *program: str) -> list[Step]:
        """Return the lines that begin with these words."""
        return [s for s in self.steps if s.program == program[0]
                and s.words[:len(program)] == [*program]]

    @contextmanager
    def done_in(self, folder: Path, *, but: tuple[str, ...] = ()) -> Iterator[None]:
        """Do all of it in a folder, but the lines of some programs, and stay there."""
        with beginning_in(folder):
            for step in self.steps:
                if step.program not in but:
                    self.do(step)
            yield

    def do(self, step: Step) -> None:
        """Write the file, or run the line: a verb of ours or of ``make`` with small numbers."""
        if step.program == 'file':
            Path(FILE_NAME.match(step.text).group(1)).write_text(step.text)
        elif step.program == 'make':
            # The rule says what is run; the environment that it makes is the one of the tests.
            rule = subprocess.run(['make', '-n', '-C', str(SOURCE), *step.words[1:]],
                                  capture_output=True, text=True, check=True).stdout
            (line,) = (line for line in rule.splitlines() if f'bin/{VERB} ' in line)
            self._run_verb(shlex.split(line)[1:])
        elif step.program == VERB:
            self._run_verb(step.words[1:])
        else:
            subprocess.run(step.text, shell=True, check=True)

    def _run_verb(self, words: list[str]) -> None:
        """Run a verb as the command line does, and keep its report."""
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as out:
            patch.setattr(sys, 'argv', [VERB, *self._small(words), '--json'])
            main()
        self.reports[words[0]].append(json.loads(out.getvalue()))

    def _small(self, words: list[str]) -> list[str]:
        """Return the words of a verb with small numbers."""
        words, options = list(words), shlex.split(self._quick.get(words[0], ''))
        while options:
            option = options.pop(0)
            value = [options.pop(0)] if options and not options[0].startswith('--') else []
            if option in words:
                at = words.index(option)
                del words[at:at + 1 + len(value)]
            words += [option, *value]
        return words


def _steps(language: str, block: str) -> Iterator[Step]:
    if language != 'sh':
        yield Step('file', block)
        return
    for line in block.replace('\\\n', ' ').splitlines():
        words = shlex.split(line, comments=True)
        if words:
            yield Step(words[0], line.partition(' # ')[0].strip())


@contextmanager
def beginning_in(folder: Path) -> Iterator[None]:
    """Be somebody who begins in an empty folder, on a ROS domain of his own, in no hurry."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, value in {**environment(), 'MINARI_DATASETS_PATH': '', SEARCH_PATH: ''}.items():
            patch.setenv(name, value)
        for name, value in (('N_ENVS', 2), ('ROLLOUT_STEPS', 128), ('CHECKPOINT_ROLLOUTS', 1)):
            patch.setattr(behaviour_policy, name, value)
        patch.setattr(behaviour_data, 'POLICY_SEEDS', range(2))
        patch.setattr(behaviour_data, 'N_SIMULATORS', 2)
        yield
