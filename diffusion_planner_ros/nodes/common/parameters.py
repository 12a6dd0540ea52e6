"""ROS parameters from knobs: declared once, with description, unit, range and read-only."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter

from ...settings import Knob, knobs_of

Config = TypeVar('Config')


def descriptor_of(knob: Knob) -> ParameterDescriptor:
    """Describe a knob as ``ros2 param describe`` prints it."""
    unit = f' [{knob.unit}]' if knob.unit else ''
    descriptor = ParameterDescriptor(description=knob.description + unit,
                                     read_only=knob.read_only)
    if knob.is_list:  # ROS has no ranges for arrays
        descriptor.additional_constraints = knob.expectation
    elif knob.low is not None:
        if knob.type is int:
            descriptor.integer_range = [IntegerRange(
                from_value=int(knob.low), to_value=int(knob.high), step=1)]
        else:
            descriptor.floating_point_range = [FloatingPointRange(
                from_value=float(knob.low), to_value=float(knob.high))]
    if knob.choices:
        descriptor.additional_constraints = knob.expectation
    return descriptor


def declare(node: Node, config: type[Config]) -> Config:
    """
    Declare every knob of a settings dataclass as a parameter and read its value.

    :raises ConfigError: if a value is outside its range.
    """
    values: dict[str, Any] = {}
    for knob in knobs_of(config):
        descriptor = descriptor_of(knob)
        default = list(knob.default) if knob.is_list else knob.default
        value = node.declare_parameter(knob.name, default, descriptor).value
        values[knob.name] = value_from_ros(value)
    return config(**values)


def value_from_ros(value: Any) -> Any:
    """Return the value of a knob: ROS hands lists over as arrays of its own."""
    return value if isinstance(value, (bool, int, float, str)) else tuple(value)


def changed(configs: Mapping[type, Any], parameters: Iterable[Parameter]) -> dict[type, Any]:
    """
    Return the settings after a change of parameters; those that are no knobs are left out.

    :param configs: instances of settings dataclasses by their type.
    :raises ConfigError: if a value is outside its range.
    """
    values = {p.name: value_from_ros(p.value) for p in parameters}
    return {kind: replace(config, **{entry.name: values[entry.name] for entry in fields(kind)
                                     if entry.name in values})
            for kind, config in configs.items()}
