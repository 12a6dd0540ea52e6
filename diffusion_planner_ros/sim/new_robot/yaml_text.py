# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Names and numbers as YAML has them, in a text with comments, which PyYAML cannot write."""

import yaml


def name_text(name: str) -> str:
    """Write a name, in quotes where YAML would take it for something else."""
    return yaml.safe_dump([name], default_flow_style=True, width=1000).strip()[1:-1]


def number_text(number: float) -> str:
    """Write a number so that YAML reads a float: 1e-05 would be a text."""
    mantissa, is_small, exponent = f'{number:.12g}'.partition('e')
    return f'{mantissa}{"" if "." in mantissa else ".0"}{is_small}{exponent}'
