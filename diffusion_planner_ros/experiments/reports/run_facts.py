# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What was run, by which version, on which machine: the part ``run`` of a report."""

from collections.abc import Mapping
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
import os
from pathlib import Path
import platform
import shlex
import subprocess
import sys
from typing import Any
from xml.etree import ElementTree

from ...share import share_file

LIBRARIES = ('numpy', 'onnxruntime', 'mujoco', 'torch')
SOURCE = Path(__file__).resolve().parents[3]  # of a checkout


def run_facts(verb: str, robot: str, **settings: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return what identifies a run.

    :param verb: that runs.
    :param robot: its name.
    :param settings: all values of each group of settings, by the name of the group.
    """
    words = sys.argv[1:]
    command = shlex.join(['diffusion_planner', *words]) if words[:1] == [verb] else None
    return {'verb': verb, 'robot': robot, 'command': command,
            'date': datetime.now().astimezone().isoformat(timespec='seconds'),
            'version': ElementTree.parse(share_file('package.xml')).findtext('version'),
            'commit': _commit(), 'machine': _machine(), 'settings': settings}


def _commit() -> str | None:
    """Return the commit of the checkout that runs, and whether files differ; None without one."""
    if not (SOURCE / '.git').exists():
        return None
    try:
        commit, changes = (subprocess.run(
            ['git', '-C', str(SOURCE), *words], capture_output=True, text=True, check=True).stdout
            for words in (('rev-parse', '--short=12', 'HEAD'),
                          ('status', '--porcelain', '--untracked-files=no')))
    except (OSError, subprocess.CalledProcessError):
        return None  # no git here, or a checkout of somebody else
    return commit.strip() + (', with changed files' if changes else '')


def _machine() -> dict[str, Any]:
    return {'cpu': _cpu(), 'cores': os.cpu_count(), 'system': platform.platform(),
            'python': platform.python_version(),
            **{name: found for name in LIBRARIES if (found := _version(name)) is not None}}


def _cpu() -> str:
    try:
        lines = Path('/proc/cpuinfo').read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(':')[2].strip() for line in lines if line.startswith('model name')]
    return models[0] if models else platform.processor() or platform.machine()


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None
