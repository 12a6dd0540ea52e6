"""ROS parameters from knobs: declared once, with description, unit, range and read-only."""

from dataclasses import fields
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from ..knobs import Knob, knobs_of

Config = TypeVar('Config')


def descriptor_of(knob: Knob) -> ParameterDescriptor:
    """Describe a knob as ``ros2 param describe`` prints it."""
    unit = f' [{knob.unit}]' if knob.unit else ''
    descriptor = ParameterDescriptor(description=knob.description + unit,
                                     read_only=knob.read_only)
    if knob.low is not None:
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
        values[knob.name] = node.declare_parameter(knob.name, knob.default, descriptor).value
    return config(**values)


def names_of(config: type) -> set[str]:
    """Return the parameter names that belong to a settings dataclass."""
    return {entry.name for entry in fields(config)}
