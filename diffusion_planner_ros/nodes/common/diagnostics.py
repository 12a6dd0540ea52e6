"""
Health reports as ``diagnostic_msgs``.

A report has a message, which is for people alone, and facts by name, which programs read.
"""

from collections.abc import Mapping
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node


def msg_from_facts(node: Node, robot: str, message: str, facts: Mapping[str, Any], *,
                   level: bytes, stamp: Any) -> DiagnosticArray:
    """
    Build a report; a float is written so that reading it gives the same number.

    ``bool_from_fact`` reads a boolean.

    The report is called as its node is, ``planner`` or ``robot1/planner``, and its hardware is the
    robot in that namespace, ``walker2d`` or ``robot1/walker2d``: all robots share the topic.

    :param robot: name of the robot, '' where it is not known yet.
    :param message: the state in words, for people.
    :param level: of ``DiagnosticStatus``.
    """
    namespace = node.get_namespace().strip('/')
    status = DiagnosticStatus(
        level=level, name='/'.join(filter(None, (namespace, node.get_name()))),
        hardware_id='/'.join(filter(None, (namespace, robot))), message=message,
        values=[KeyValue(key=key, value=str(value)) for key, value in facts.items()])
    msg = DiagnosticArray(status=[status])
    msg.header.stamp = stamp
    return msg


def facts_from_msg(msg: DiagnosticArray, name: str) -> dict[str, str] | None:
    """Return the facts of the report called ``name``, if the array has one."""
    for status in msg.status:
        if status.name == name:
            return {v.key: v.value for v in status.values}
    return None


def bool_from_fact(fact: str) -> bool:
    """
    Return the boolean that a fact says.

    :raises ValueError: if it says none.
    """
    if fact not in ('True', 'False'):
        raise ValueError(f"fact is '{fact}', expected 'True' or 'False'")
    return fact == 'True'
