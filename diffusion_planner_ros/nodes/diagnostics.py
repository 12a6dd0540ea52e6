"""Health reports as ``diagnostic_msgs``."""

from collections.abc import Mapping
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue


def msg_from_facts(name: str, message: str, facts: Mapping[str, Any], *, level: bytes,
                   stamp: Any) -> DiagnosticArray:
    """
    Build a report; a float is written so that reading it gives the same number.

    :param level: of ``DiagnosticStatus``.
    """
    status = DiagnosticStatus(
        level=level, name=name, message=message,
        values=[KeyValue(key=key, value=str(value)) for key, value in facts.items()])
    msg = DiagnosticArray(status=[status])
    msg.header.stamp = stamp
    return msg


def facts_from_msg(msg: DiagnosticArray, name: str) -> tuple[str, dict[str, str]] | None:
    """Return message and values of the report called ``name``, if the array has one."""
    for status in msg.status:
        if status.name == name:
            return status.message, {v.key: v.value for v in status.values}
    return None
