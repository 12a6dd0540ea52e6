# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Option ``--preset`` of the verbs that train or plan: other defaults of their settings."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
import inspect
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import tyro

from ..errors import ConfigError, PlannerError
from ..presets.preset import Preset, preset_names
from ..robots.robot_folder import DEFAULT_ROBOT
from ..share import shipped_bundle

OPTION = '--preset'
PresetName = Annotated[str | None, tyro.conf.arg(metavar='|'.join(preset_names()))]
"""Type of the verbs' parameter ``preset``."""


def with_preset(verbs: Mapping[str, Callable[..., None]], words: Sequence[str]
                ) -> dict[str, Callable[..., None]]:
    """
    Return the verbs; settings of one that takes a preset default to those of the named one.

    So the help shows the preset's values, and any option that is given wins over them. If none is
    named, it is the one of the bundle that the verb plans with.

    :param words: of the command line, the program's name left out.
    :raises ConfigError: if there is no preset of that name.
    """
    name = _value_of(OPTION, words)
    if name is None:
        name = _preset_of_bundle(verbs, words)
    if name is None:
        return dict(verbs)
    preset = Preset.load(name)
    return {word: _defaulting(verb, preset) if 'preset' in inspect.signature(verb).parameters
            else verb for word, verb in verbs.items()}


def _value_of(option: str, words: Sequence[str]) -> str | None:
    """Return the value of an option, None where it is not given."""
    for i, word in enumerate(words):
        if word == option and i + 1 < len(words):
            return words[i + 1]
        if word == OPTION:
            raise ConfigError(f'{OPTION} names no preset, expected one of '
                              f'{", ".join(preset_names())}')
        if word.startswith(f'{option}='):
            return word.removeprefix(f'{option}=')
    return None


def _preset_of_bundle(verbs: Mapping[str, Callable[..., None]], words: Sequence[str]
                      ) -> str | None:
    """Return the preset that the bundle of a verb names, None where it names none."""
    verb = verbs.get(words[0]) if words else None
    if verb is None or not {'preset', 'bundle'} <= set(inspect.signature(verb).parameters):
        return None
    folder, robot = _value_of('--bundle', words), _value_of('--robot', words)
    if folder is None and robot is None:
        return None  # walker2d's names none
    from ..planning.bundle import read_preset

    try:
        path = shipped_bundle(robot or DEFAULT_ROBOT) if folder is None else Path(folder)
        return read_preset(path) or None
    except PlannerError:
        return None  # the verb will load the bundle, and say what is wrong with it


def _defaulting(verb: Callable[..., None], preset: Preset) -> Callable[..., None]:
    """Return a verb whose settings of training or planning default to a preset's."""
    # Only now: a verb that has imported them needs them anyway.
    from ..learning.train_config import TrainConfig
    from ..planning.planner_config import PlannerConfig

    values = {TrainConfig: preset.train, PlannerConfig: preset.planner}
    types = get_type_hints(verb)
    signature = inspect.signature(verb)

    @wraps(verb)
    def run(**arguments: Any) -> None:
        verb(**arguments)

    # By keyword only: then one with a default may come before one without.
    # `inspect` and tyro look for this attribute.
    run.__signature__ = signature.replace(parameters=[  # type: ignore[attr-defined]
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, default=(
            types[name](**values[types[name]]) if types[name] in values else parameter.default))
        for name, parameter in signature.parameters.items()])
    return run
