# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What is released: the wheel made of the source archive, complete, runs without the checkout."""

import json
import os
from pathlib import Path
import shutil
import subprocess
import sys
import tarfile
from zipfile import ZipFile

import numpy as np
from paths import SOURCE
import pytest

PACKAGE = 'diffusion_planner_ros'
SHARED = ('launch', 'config', 'models', 'resource', 'package.xml')
PIP = (sys.executable, '-m', 'pip', '--quiet', '--disable-pip-version-check')
# pyproject.toml names setuptools alone, which the environment of the tests has
OFFLINE = ('--no-deps', '--no-index', '--no-build-isolation')
SDIST = 'import sys; from setuptools.build_meta import build_sdist; build_sdist(sys.argv[1])'
MAX_WHEEL = 20e6  # [bytes]; the models are most of it


def run(*command, cwd, **variables):
    done = subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True,
                          env={**os.environ, **variables}, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope='module')
def tracked():
    """All files that git lists, as paths below the checkout."""
    if not (SOURCE / '.git').exists() or shutil.which('git') is None:
        pytest.skip('no git checkout, which says what belongs to a release')
    files = run('git', 'ls-files', '-z', cwd=SOURCE).split('\0')
    return [file for file in files if file and (SOURCE / file).exists()]


@pytest.fixture(scope='module')
def archive(tracked, tmp_path_factory):
    """The source archive, built from a copy of the checkout in which a launch file has run."""
    checkout, dist = tmp_path_factory.mktemp('checkout'), tmp_path_factory.mktemp('dist')
    for file in tracked:
        (checkout / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(SOURCE / file, checkout / file)
    (checkout / 'launch' / '__pycache__').mkdir()
    (checkout / 'launch' / '__pycache__' / 'simulation.pyc').touch()
    run(sys.executable, '-c', SDIST, dist, cwd=checkout)
    built, = dist.iterdir()
    return built


@pytest.fixture(scope='module')
def wheel(archive, tmp_path_factory):
    """The wheel, built from the source archive as pip does it."""
    dist = tmp_path_factory.mktemp('wheel')
    run(*PIP, 'wheel', *OFFLINE, '--wheel-dir', dist, archive, cwd=dist)
    built, = dist.iterdir()
    return built


@pytest.fixture(scope='module')
def installed(wheel, tmp_path_factory):
    """Folder of the installed wheel, without what it depends on."""
    folder = tmp_path_factory.mktemp('installed')
    run(*PIP, 'install', *OFFLINE, '--no-compile', '--target', folder, wheel, cwd=folder)
    return folder


def command(installed, folder, *words):
    """Run the installed command line where no checkout is, and return what it prints."""
    return run(sys.executable, installed / 'bin' / 'diffusion_planner', *words, cwd=folder,
               PYTHONPATH=str(installed))


def where(file):
    """Return where a file of the checkout is once it is installed, None if it is not."""
    top = Path(file).parts[0]
    if top == PACKAGE:
        return file
    if top == 'resource':
        return f'share/ament_index/resource_index/packages/{Path(file).name}'
    return f'share/{PACKAGE}/{file}' if top in SHARED else None


def test_the_source_archive_holds_what_a_reader_and_a_build_need(archive):
    with tarfile.open(archive) as opened:
        names = {name.partition('/')[2] for name in opened.getnames()}
    assert {'CHANGELOG.rst', 'LICENSE', 'README.md', 'package.xml', 'pyproject.toml',
            'setup.cfg', 'setup.py'} <= names


def test_the_wheel_holds_what_git_lists_and_nothing_else(wheel, tracked):
    expected = {place for file in tracked if (place := where(file)) is not None}
    assert {f'{PACKAGE}/robots/walker2d/robot.urdf',
            f'share/{PACKAGE}/models/walker2d/model.yaml'} <= expected
    names = [name.partition('.data/data/')[2] or name for name in ZipFile(wheel).namelist()]
    facts = {name for name in names if '.dist-info/' in name}
    assert set(names) - facts == expected
    assert 'LICENSE' in {Path(name).name for name in facts}
    assert wheel.stat().st_size < MAX_WHEEL


def test_an_installed_wheel_finds_its_own_models(installed, tmp_path):
    assert f'{installed}/share/{PACKAGE}/models/walker2d' in command(installed, tmp_path, 'info')


def test_an_installed_wheel_evaluates_its_model(installed, tmp_path):
    printed = command(installed, tmp_path, 'evaluate', '--robot', 'reacher', '--episodes', '1',
                      '--json')
    summary = json.loads(printed)
    assert summary['bundle'] == f'{installed}/share/{PACKAGE}/models/reacher'
    assert summary['episodes'] == 1
    assert np.isfinite(summary['return_mean'])
