# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Lifecycle transitions that log why they failed."""

from collections.abc import Callable
from functools import wraps
import traceback
from typing import TypeVar

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from ...errors import PlannerError

Of = TypeVar('Of', bound=LifecycleNode)
Transition = Callable[[Of, LifecycleState], TransitionCallbackReturn]


def transition(callback: Callable[[Of], None]) -> Transition[Of]:
    """
    Make a transition callback of a method that returns nothing.

    After a ``PlannerError``, which a user can mend, the transition fails, the node keeps its state
    and logs one line. After any other exception it logs the traceback, and rclpy calls
    ``on_error``. rclpy itself would drop every exception without logging it.
    """
    @wraps(callback)
    def run(node: Of, state: LifecycleState) -> TransitionCallbackReturn:
        del state
        try:
            callback(node)
        except PlannerError as error:
            node.get_logger().error(f'{callback.__name__}: {error}')
            return TransitionCallbackReturn.FAILURE
        except Exception:
            node.get_logger().fatal(f'{callback.__name__}: {traceback.format_exc()}')
            return TransitionCallbackReturn.ERROR
        return TransitionCallbackReturn.SUCCESS
    return run
