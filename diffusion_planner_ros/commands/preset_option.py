"""Option ``--preset`` of the verbs that train or plan: other defaults of their settings."""

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
import inspect
from typing import Annotated, Any, get_type_hints

import tyro

from ..errors import ConfigError
from ..presets.preset import Preset, preset_names

OPTION = '--preset'
PresetName = Annotated[str | None, tyro.conf.arg(metavar='|'.join(preset_names()))]
"""Type of the verbs' parameter ``preset``."""


def with_preset(verbs: Mapping[str, Callable[..., None]], words: Sequence[str]
                ) -> dict[str, Callable[..., None]]:
    """
    Return the verbs; settings of one that takes a preset default to those of the named one.

    So the help shows the preset's values, and any option that is given wins over them.

    :param words: of the command line, the program's name left out.
    :raises ConfigError: if there is no preset of that name.
    """
    name = _named(words)
    if name is None:
        return dict(verbs)
    preset = Preset.load(name)
    return {word: _defaulting(verb, preset) if 'preset' in inspect.signature(verb).parameters
            else verb for word, verb in verbs.items()}


def _named(words: Sequence[str]) -> str | None:
    """Return the value of the option, None where it is not given."""
    for i, word in enumerate(words):
        if word == OPTION:
            if i + 1 == len(words):
                raise ConfigError(f'{OPTION} names no preset, expected one of '
                                  f'{", ".join(preset_names())}')
            return words[i + 1]
        if word.startswith(f'{OPTION}='):
            return word.removeprefix(f'{OPTION}=')
    return None


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
    run.__signature__ = signature.replace(parameters=[
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY, default=(
            types[name](**values[types[name]]) if types[name] in values else parameter.default))
        for name, parameter in signature.parameters.items()])
    return run
