# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Who is compared: a preset, perhaps with other settings, or a baseline."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import ConfigError
from ...learning.train_config import TrainConfig
from ...planning.planner_config import PlannerConfig
from ...presets.preset import Preset, preset_names
from ...settings import Setting, settings_of
from .baselines.baseline_registry import BASELINES, BEHAVIOUR

# Settings that the comparison decides itself.
DECIDED = {'seed': 'give --seeds', 'n_updates': 'give --minutes',
           'n_threads': 'every cell has one core'}
CONFIGS: dict[str, type] = {'train': TrainConfig, 'planner': PlannerConfig}
TRUTH = {'true': True, 'false': False}


@dataclass(frozen=True)
class Method:
    """A way to control the robot that is learned from data."""

    label: str
    """As it was written: ``walker``, ``walker:n_candidates=16,horizon=16`` or ``iql``."""
    train: TrainConfig | None = None
    """None for a baseline."""
    planner: PlannerConfig | None = None
    """None for a baseline."""
    teacher: 'Method | None' = None
    """Whose model is distilled; None where a method learns from data alone."""

    @classmethod
    def parse(cls, word: str) -> 'Method':
        """
        Read a method as it is written on the command line.

        :param word: name of a baseline, or of a preset with ``:SETTING=VALUE,...`` behind it; the
            values of a list are joined by ``+``.
        :raises ConfigError: for a name, a setting or a value that there is not.
        """
        name, separator, rest = word.partition(':')
        if name in (BEHAVIOUR, *BASELINES):
            if separator:
                raise ConfigError(f"methods has '{word}', but a baseline takes no settings, "
                                  f"expected '{name}'")
            return cls(word)
        if name not in preset_names():
            raise ConfigError(f"methods has '{word}', expected one of "
                              f'{", ".join((*preset_names(), BEHAVIOUR, *BASELINES))}, a preset '
                              'perhaps with :SETTING=VALUE,...')
        preset = Preset.load(name)
        settings = _settings(word, rest) if separator else {part: {} for part in CONFIGS}
        try:
            train = TrainConfig(**{**preset.train, **settings['train']})
            planner = PlannerConfig(**{**preset.planner, **settings['planner']})
        except ConfigError as error:
            raise ConfigError(f"methods has '{word}': {error}") from error
        if planner.n_denoise_steps > train.n_diffusion_steps:
            raise ConfigError(f"methods has '{word}': n_denoise_steps is "
                              f'{planner.n_denoise_steps}, expected 1 to '
                              f'{train.n_diffusion_steps}, its n_diffusion_steps')
        teacher = cls.parse(preset.distilled_from) if preset.distilled_from else None
        return cls(word, train, planner, teacher)


def parse_methods(words: Sequence[str]) -> list[Method]:
    """
    Read methods.

    :raises ConfigError: for one that there is not, that comes twice, or none at all.
    """
    if not words or len(set(words)) < len(words):
        raise ConfigError(f'methods are {", ".join(words) or "none"}, expected at least one and '
                          'none twice')
    return [Method.parse(word) for word in words]


def every_method() -> list[str]:
    """Return the names of the baselines, and of the presets that need no data of their own."""
    return [BEHAVIOUR, *BASELINES,
            *(name for name in preset_names() if not Preset.load(name).needs)]


def _settings(word: str, text: str) -> dict[str, dict[str, Any]]:
    """Return the values of settings by name, for each of ``CONFIGS``."""
    known = {owner: {setting.name: setting for setting in settings_of(config)}
             for owner, config in CONFIGS.items()}
    values: dict[str, dict[str, Any]] = {owner: {} for owner in CONFIGS}
    for part in text.split(','):
        key, separator, value = part.partition('=')
        prefix, _, name = key.rpartition('.')
        if name in DECIDED:
            raise ConfigError(f"methods has '{word}', but {name} is not a method's; "
                              f'{DECIDED[name]}')
        owners = [owner for owner in CONFIGS if name in known[owner] and prefix in ('', owner)]
        if not separator or not owners:
            raise ConfigError(f"methods has '{word}' with '{part}', expected SETTING=VALUE with "
                              'a setting of train or of the planner')
        if len(owners) > 1:
            choices = ' or '.join(f'{owner}.{part}' for owner in owners)
            raise ConfigError(f"methods has '{word}' with '{part}', a setting of train and of the "
                              f'planner, expected {choices}')
        values[owners[0]][name] = _value(word, known[owners[0]][name], value)
    return values


def _value(word: str, setting: Setting, text: str) -> Any:
    try:
        values = tuple(TRUTH[part.lower()] if setting.type is bool else setting.type(part)
                       for part in text.split('+' if setting.is_list else '\0'))
    except (ValueError, KeyError) as error:
        raise ConfigError(f"methods has '{word}': {setting.name} is '{text}', expected "
                          f'{setting.expectation}') from error
    return values if setting.is_list else values[0]
