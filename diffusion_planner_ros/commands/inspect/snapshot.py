# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""``diffusion_planner snapshot``: a picture of what a running planner draws for rviz2."""

from pathlib import Path

from ...files import written
from ..output import report


def snapshot(
    topic: str | None = None,
    out: Path = Path('snapshot.png'),
    denoising: bool = False,
    timeout: float = 10.0,
    json: bool = False,
) -> None:
    """
    Draw the markers of a running planner, seen from the side, to a PNG file.

    :param topic: topic of the markers; planner/markers by default, or planner/denoising.
    :param out: PNG file to write; its folder must be there.
    :param denoising: draw the denoising steps of one plan side by side, instead of a plan.
    :param timeout: time to wait for what is to be drawn [s].
    :param json: print the report as JSON.
    """
    from ...errors import ConfigError
    from ...experiments.ros.marker_capture import capture, DenoisingMarkers, PlanMarkers
    from ...messages.stamps import NANOSECONDS, nanoseconds_from_stamp

    if not timeout > 0:
        raise ConfigError(f'timeout is {timeout} s, expected a number above 0')
    if not out.parent.is_dir() or out.is_dir():
        raise ConfigError(f'{out}: expected the name of a PNG file in a folder that is there')
    collector = DenoisingMarkers() if denoising else PlanMarkers()
    topic = topic or collector.topic.path
    capture(topic, collector, timeout)
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
