"""Lifecycle transitions that say what went wrong in them."""

from collections.abc import Callable
from functools import wraps
import traceback

from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn

from ...errors import PlannerError

Transition = Callable[[LifecycleNode, LifecycleState], TransitionCallbackReturn]


def transition(callback: Callable[[LifecycleNode], None]) -> Transition:
    """
    Make a transition callback of a method that returns nothing.

    What a user can mend (``PlannerError``) fails the transition with one line, and the node keeps
    its state; anything else is an error with its traceback, after which rclpy calls ``on_error``.
    rclpy itself would drop every exception without a word.
    """
    @wraps(callback)
    def run(node: LifecycleNode, state: LifecycleState) -> TransitionCallbackReturn:
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
