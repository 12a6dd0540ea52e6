# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""ROS parameters from settings: declared once, with description, unit, range and read-only."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from ...errors import ConfigError
from ...settings import Setting, settings_of

Config = TypeVar('Config')


def descriptor_of(setting: Setting) -> ParameterDescriptor:
    """Describe a setting as ``ros2 param describe`` prints it."""
    unit = f' [{setting.unit}]' if setting.unit else ''
    descriptor = ParameterDescriptor(description=setting.description + unit,
                                     read_only=setting.read_only)
    if setting.is_list:  # ROS has no ranges for arrays
        descriptor.additional_constraints = setting.expectation
    elif setting.low is not None and setting.high is not None:
        if setting.type is int:
            descriptor.integer_range = [IntegerRange(
                from_value=int(setting.low), to_value=int(setting.high), step=1)]
        else:
            descriptor.floating_point_range = [FloatingPointRange(
                from_value=float(setting.low), to_value=float(setting.high))]
    if setting.choices:
        descriptor.additional_constraints = setting.expectation
    return descriptor


def declare(node: Node, config: type[Config], defaults: Mapping[str, Any] = MappingProxyType({})
            ) -> Config:
    """
    Declare every setting of a settings dataclass as a parameter and read its value.

    :param defaults: by name, where they are others than those of the dataclass.
    :raises ConfigError: if a value is outside its range, or is given under a former name.
    """
    values: dict[str, Any] = {}
    for setting in settings_of(config):
        if setting.formerly:
            _refuse_former_name(node, setting)
        descriptor = descriptor_of(setting)
        default = defaults.get(setting.name, setting.default)
        value = node.declare_parameter(
            setting.name, list(default) if setting.is_list else default, descriptor).value
        values[setting.name] = value_from_ros(value)
    return config(**values)


def _refuse_former_name(node: Node, setting: Setting) -> None:
    """Raise where a parameter file still has the former name, which rclpy would ignore."""
    given = node.declare_parameter(
        setting.formerly, None, ParameterDescriptor(dynamic_typing=True)).value
    node.undeclare_parameter(setting.formerly)
    if given is not None:
        raise ConfigError(f'{setting.formerly} is {given}, expected none: it became '
                          f'{setting.name}, which counts in another unit. {setting.description}')


def value_from_ros(value: Any) -> Any:
    """Return the value of a setting: ROS hands lists over as arrays of its own."""
    return value if isinstance(value, (bool, int, float, str)) else tuple(value)


def changed(configs: Mapping[type, Any], parameters: Iterable[Parameter]) -> dict[type, Any]:
    """
    Return the settings after a change of parameters; those that are no settings are left out.

    :param configs: instances of settings dataclasses by their type.
    :raises ConfigError: if a value is outside its range.
    """
    values = {p.name: value_from_ros(p.value) for p in parameters}
    return {kind: replace(config, **{entry.name: values[entry.name] for entry in fields(kind)
                                     if entry.name in values})
            for kind, config in configs.items()}
