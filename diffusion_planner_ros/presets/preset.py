# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""A published planning method, as settings of training and of planning."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ..errors import ConfigError

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Preset:
    """
    What a method puts in the window, what denoises and guides it, and how a plan is chosen.

    All methods share the same code; they differ in these settings alone.
    """

    name: str
    about: str
    """One or two sentences."""
    source: str
    """Where it was published; empty where it is our own."""
    train: Mapping[str, Any]
    """Settings of ``TrainConfig`` that differ from its defaults."""
    planner: Mapping[str, Any]
    """Settings of ``PlannerConfig`` that differ from its defaults."""
    distilled_from: str = ''
    """Preset of the model that teaches this one; empty where it learns from data alone."""
    needs: str = ''
    """What data or robot it needs, which others do not; empty where any will do."""

    @classmethod
    def load(cls, name: str) -> 'Preset':
        """
        Read a preset.

        :param name: one of ``preset_names()``.
        :raises ConfigError: if there is none of that name.
        """
        if name not in preset_names():
            raise ConfigError(f"preset is '{name}', expected one of {', '.join(preset_names())}")
        facts = yaml.safe_load((FOLDER / f'{name}.yaml').read_text())
        for settings in (facts['train'], facts['planner']):
            # YAML has lists where settings are tuples.
            settings.update({key: tuple(value) for key, value in settings.items()
                             if isinstance(value, list)})
        return cls(name, **facts)


def preset_names() -> list[str]:
    """Return the names of all presets, in alphabetical order."""
    return sorted(file.stem for file in FOLDER.glob('*.yaml'))
