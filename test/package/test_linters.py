# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Linters of ROS, where they are installed, and XML."""

from pathlib import Path
from xml.etree import ElementTree

from paths import SOURCE
import pytest

XML = sorted(file for pattern in ('package.xml', 'config/*.xml', 'diffusion_planner_ros/**/*.xml',
                                  'diffusion_planner_ros/**/*.urdf')
             for file in SOURCE.glob(pattern))


@pytest.mark.parametrize('file', XML, ids=lambda file: str(file.relative_to(SOURCE)))
def test_xml_is_well_formed(file: Path):
    ElementTree.parse(file)


def test_the_manifest_has_what_ros_asks_for():
    package = pytest.importorskip('catkin_pkg.package')
    warnings: list[str] = []
    assert package.parse_package(str(SOURCE / 'package.xml'), warnings=warnings).exports
    assert not warnings


def test_ament_flake8_passes(monkeypatch):
    main = pytest.importorskip('ament_flake8.main', reason='needs ROS')
    monkeypatch.chdir(SOURCE)
    status, errors = main.main_with_errors(argv=['--config', 'setup.cfg'])
    assert status == 0, errors


def test_ament_pep257_passes(monkeypatch):
    main = pytest.importorskip('ament_pep257.main', reason='needs ROS')
    monkeypatch.chdir(SOURCE)
    # It wants the docstrings of properties in the imperative; flake8 of `make lint` does not.
    assert main.main(argv=['--add-ignore', 'D401', '--', 'diffusion_planner_ros', 'launch',
                           'docs', 'examples']) == 0
