"""``diffusion_planner snapshot``: a picture of what a running planner draws for rviz2."""

from pathlib import Path
import time
from typing import TYPE_CHECKING

from ...files import written
from ..output import report

if TYPE_CHECKING:
    from visualization_msgs.msg import MarkerArray


def snapshot(
    topic: str | None = None,
    out: Path = Path('snapshot.png'),
    denoising: bool = False,
    timeout: float = 10.0,
    json: bool = False,
) -> None:
    """
    Draw the markers of a running planner, seen from the side, to a PNG file.

    :param topic: of the markers; planner/markers by default, or planner/denoising.
    :param out: PNG file to write; its folder must be there.
    :param denoising: draw the denoising steps of one plan side by side, instead of a plan.
    :param timeout: time to wait for what is to be drawn [s].
    :param json: print the report as JSON.
    """
    from ...errors import ConfigError
    from ...nodes.common.conversions import NANOSECONDS, nanoseconds_from_stamp
    from ...nodes.common.topics import DENOISING, MARKERS

    if not timeout > 0:
        raise ConfigError(f'timeout is {timeout} s, expected a number above 0')
    if not out.parent.is_dir() or out.is_dir():
        raise ConfigError(f'{out}: expected the name of a PNG file in a folder that is there')
    topic = topic or (DENOISING if denoising else MARKERS).path
    collector = _Denoising() if denoising else _Latest()
    _receive(topic, collector, timeout)
    # Only now: who waits for messages needs no matplotlib.
    from ...experiments.plots.marker_plot import draw_denoising, draw_plan, lines_of, values_of

    last = collector.arrays[-1]
    at = nanoseconds_from_stamp(last.markers[0].header.stamp) / NANOSECONDS
    with written(out) as scratch:
        if denoising:
            draw_denoising(collector.arrays, f'Denoising of the plan at {at:.3f} s', scratch)
        else:
            draw_plan(last, f'Plan at {at:.3f} s', scratch)
    values = values_of(last.markers)
    report({'picture': str(out), 'topic': topic, 'time_s': at,
            'messages': len(collector.arrays), 'lines': len(lines_of(last)),
            'worst_value': min(values, default=None), 'best_value': max(values, default=None)},
           as_json=json)


class _Latest:
    """Takes the first message that has something to draw."""

    what = 'markers'

    def __init__(self) -> None:
        self.arrays: list[MarkerArray] = []

    @property
    def is_complete(self) -> bool:
        return bool(self.arrays)

    def add(self, array: 'MarkerArray') -> None:
        if not self.arrays and any(len(marker.points) > 1 for marker in array.markers):
            self.arrays.append(array)


class _Denoising:
    """Takes the steps of one plan, from the first to the last."""

    what = 'all denoising steps of one plan'

    def __init__(self) -> None:
        self.arrays: list[MarkerArray] = []
        self.is_complete = False

    def add(self, array: 'MarkerArray') -> None:
        from ...nodes.display.markers import diffusion_time

        if self.is_complete or (time := diffusion_time(array)) is None:
            return
        t, n_steps = time
        if t == n_steps:
            self.arrays = [array]
        elif self.arrays and array.markers[0].header == self.arrays[0].markers[0].header:
            self.arrays.append(array)
            self.is_complete = t == 0


def _receive(topic: str, collector: _Latest | _Denoising, timeout: float) -> None:
    """
    Hear a topic until the collector has enough.

    :raises PlannerError: with what there is to hear, if the time runs out before.
    """
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.node import Node
    from rclpy.signals import SignalHandlerOptions
    from visualization_msgs.msg import MarkerArray

    from ...errors import PlannerError

    # rclpy's own handlers end the context and raise nothing: Ctrl-C would go unnoticed.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    try:
        node = Node('snapshot')
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        topic = node.create_subscription(MarkerArray, topic, collector.add, 10).topic_name
        deadline = time.monotonic() + timeout
        while not collector.is_complete and time.monotonic() < deadline:
            executor.spin_once(timeout_sec=0.1)
        n_publishers = node.count_publishers(topic)
        executor.shutdown()
        node.destroy_node()
    finally:
        rclpy.try_shutdown()
    if not collector.is_complete:
        raise PlannerError(
            f"no {collector.what} on topic '{topic}' in {timeout:g} s, which "
            f'has {n_publishers} publisher{"" if n_publishers == 1 else "s"}; '
            + ('the planner publishes only while it plans: does the robot run?' if n_publishers
               else 'expected a planner in the same ROS domain; does it have another name or '
               'namespace (--topic)?'))
