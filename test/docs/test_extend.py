# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""The page "Extend it": its code runs as it stands there."""

import os
import re
import shutil
import subprocess
import sys

from paths import SOURCE
import pytest

PACKAGE = 'diffusion_planner_ros'
MAX_LINES = 60
BLOCK = re.compile(r'```(?:python|yaml)\n# (\S+\.(?:py|yaml))( \(add\))?\n(.*?)```', re.DOTALL)


def blocks():
    return BLOCK.findall((SOURCE / 'docs' / 'tutorials' / 'extend.md').read_text())


@pytest.fixture(scope='module')
def extended(tmp_path_factory):
    """A copy of the package with all that the page adds."""
    root = tmp_path_factory.mktemp('extended')
    for folder in (PACKAGE, 'models', 'config'):
        shutil.copytree(SOURCE / folder, root / folder,
                        ignore=shutil.ignore_patterns('__pycache__'))
    for name, is_added, code in blocks():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        assert file.exists() == bool(is_added), name
        file.write_text((file.read_text() if is_added else '') + code)
    return root


def test_an_extension_in_python_is_a_small_file_a_line_of_registration_and_a_test():
    new = [code for name, is_added, code in blocks()
           if not is_added and name.startswith(PACKAGE) and name.endswith('.py')]
    added = [code for _, is_added, code in blocks() if is_added]
    tests = [name for name, _, _ in blocks() if name.startswith('test/')]
    assert len(new) == len(added) == len(tests) - 1 == 4  # a robot has a test and no Python
    assert max(code.count('\n') for code in new) < MAX_LINES
    for code in added:
        lines = [line for line in code.splitlines() if line]
        assert all(line.startswith('from ') for line in lines[:-1]), code


def test_its_preset_is_found_and_its_settings_are_accepted(extended):
    code = ("from diffusion_planner_ros.experiments.comparison.method import Method\n"
            "method = Method.parse('forecaster')\n"
            "print(method.train.horizon, method.planner.states)")
    done = subprocess.run([sys.executable, '-c', code], cwd=extended, text=True,
                          env={**os.environ, 'PYTHONPATH': str(extended)},
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    assert done.stdout.split() == ['16', 'forecast'], done.stdout


def test_its_tests_pass(extended):
    names = [name for name, _, _ in blocks() if name.startswith('test/')]
    done = subprocess.run(
        [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', *names], cwd=extended,
        env={**os.environ, 'PYTHONPATH': str(extended)}, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, check=False)
    assert done.returncode == 0, done.stdout
