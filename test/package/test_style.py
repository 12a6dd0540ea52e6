# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Tests look at the package from outside: none reads a private member."""

import ast

from paths import SOURCE

OF_OTHERS = ('os._exit',)  # of Python


def private_members(file):
    """Return where a file reads ``x._y``, x being neither its own object nor its own class."""
    for node in ast.walk(ast.parse(file.read_text())):
        if (isinstance(node, ast.Attribute) and node.attr.startswith('_')
                and not node.attr.startswith('__')
                and not (isinstance(node.value, ast.Name) and node.value.id in ('self', 'cls'))
                and ast.unparse(node) not in OF_OTHERS):
            yield f'{file.name}:{node.lineno}: {ast.unparse(node)}'


def test_no_test_reads_a_private_member():
    files = list((SOURCE / 'test').rglob('*.py'))
    assert files
    assert [found for file in files for found in private_members(file)] == []


def test_the_check_finds_one(tmp_path):
    file = tmp_path / 'spy.py'
    file.write_text('self._own = node._hidden\n')
    assert list(private_members(file)) == ['spy.py:1: node._hidden']
