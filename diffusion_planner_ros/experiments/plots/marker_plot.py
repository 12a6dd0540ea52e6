# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Draw markers seen from the side: the x-z plane of a ``visualization_msgs/MarkerArray``."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
import numpy as np
from numpy.typing import NDArray
from visualization_msgs.msg import Marker, MarkerArray

from ...nodes.display.markers import (
    CANDIDATES,
    CHOSEN,
    DENOISING,
    diffusion_time,
    EXECUTED,
    VALUE_COLORS,
)

LINES = (Marker.LINE_STRIP, Marker.LINE_LIST)
MARGIN, CLOSE_MARGIN = 0.12, 0.03  # [m]
MIN_WIDTH = 0.7  # [points], so that a thin line is seen in a wide picture
LEGEND_WIDTH = 250  # [points/m]
DPI = 130
POINTS_PER_INCH = 72
FLOOR_COLOR, GRID_COLOR = '#444444', '#e6e6e6'
VALUES = LinearSegmentedColormap.from_list('value', VALUE_COLORS)


def draw_plan(array: MarkerArray, title: str, file: Path) -> None:
    """
    Draw one drawing of the planner: the plan large, the executed path above it.

    :param array: with at least one line.
    :param file: PNG to write.
    """
    lines = lines_of(array)
    chosen = [m for m in lines if m.ns == CHOSEN]
    figure = _figure((12.0, 8.6))
    figure.suptitle(title)
    (above,), (below,) = figure.subfigures(2, 1, squeeze=False, height_ratios=(1.0, 4.2))
    all_axes = [above.subplots()]
    _frame(all_axes[0], _extent(lines))
    left, right = below.subfigures(1, 2, width_ratios=(1.0, 1.1))
    all_axes.append(left.subplots())
    _frame(all_axes[1], _extent([m for m in lines if m.ns != EXECUTED] or lines))
    all_axes[1].legend(handles=_legend(lines), loc='upper left', fontsize=9, framealpha=0.9)
    # The plan of a short horizon is small beside the robot: each of its paths once more, larger.
    details = right.subplots(max(1, len(chosen)), 1, squeeze=False)[:, 0]
    for axes, marker, extent in zip(details, chosen, _same_size(chosen), strict=False):
        _frame(axes, extent)
        axes.set_title(marker.text, fontsize=10)
    right.colorbar(ScalarMappable(_scale(lines), VALUES), ax=list(details), shrink=0.8,
                   label='value of a candidate (predicted discounted return)')
    _draw_all(figure, [*all_axes, *details], [lines] * (len(all_axes) + len(details)))
    figure.savefig(file, dpi=DPI, format='png')


def draw_denoising(steps: Sequence[MarkerArray], title: str, file: Path) -> None:
    """
    Draw the denoising steps of one plan side by side.

    :param steps: from noise to plan, each with at least one line.
    :param file: PNG to write.
    """
    drawn = [lines_of(step) for step in steps]
    everything = [marker for lines in drawn for marker in lines]
    extent = _extent(everything)
    width, height = extent[1] - extent[0]
    n_rows = 2 if len(steps) > 4 else 1
    n_columns = -(-len(steps) // n_rows)
    figure = _figure((3.2 * n_columns + 1.0, (3.0 * height / width + 0.4) * n_rows + 0.6))
    figure.suptitle(title)
    panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, step in zip(panels, steps, strict=False):
        _frame(axes, extent)
        if (time := diffusion_time(step)) is not None:
            axes.set_title(f't = {time[0]}')
        axes.label_outer()
    for axes in panels[len(steps):]:
        axes.set_axis_off()
    figure.colorbar(ScalarMappable(_scale(everything), VALUES), ax=list(panels), pad=0.01,
                    label='value of a candidate when denoised')
    _draw_all(figure, list(panels), drawn)
    figure.savefig(file, dpi=DPI, format='png')


def lines_of(array: MarkerArray) -> list[Marker]:
    """Return the markers that are lines."""
    return [m for m in array.markers
            if m.action == Marker.ADD and m.type in LINES and len(m.points) > 1]


def values_of(markers: Sequence[Marker]) -> list[float]:
    """Return the values that candidates carry as their text."""
    return [float(m.text) for m in markers if m.ns in (CANDIDATES, DENOISING)]


def _figure(size: tuple[float, float]) -> Figure:
    matplotlib.use('Agg')
    return Figure(figsize=size, layout='constrained')


def _side_view(marker: Marker) -> NDArray:
    """Return a marker's points in the x-z plane [m], shape (n, 2)."""
    return np.array([(p.x, p.z) for p in marker.points])


def _extent(markers: Sequence[Marker]) -> NDArray:
    """Return the corners [m] around markers, the floor included, shape (2, 2)."""
    points = np.concatenate([_side_view(m) for m in markers])
    low, high = points.min(axis=0) - MARGIN, points.max(axis=0) + MARGIN
    low[1] = min(low[1], -MARGIN)
    return np.stack([low, high])


def _same_size(markers: Sequence[Marker]) -> list[NDArray]:
    """Return corners around each marker alone, all of the same size."""
    paths = [_side_view(m) for m in markers]
    half = np.max([np.ptp(path, axis=0) / 2 for path in paths], axis=0, initial=0.0) + CLOSE_MARGIN
    middles = [(path.min(axis=0) + path.max(axis=0)) / 2 for path in paths]
    return [np.stack([middle - half, middle + half]) for middle in middles]


def _frame(axes: Axes, extent: NDArray) -> None:
    axes.set(xlim=extent[:, 0], ylim=extent[:, 1], xlabel='x [m]', ylabel='z [m]', aspect='equal')
    axes.grid(color=GRID_COLOR, lw=0.6)
    axes.set_axisbelow(True)
    axes.axhline(0.0, color=FLOOR_COLOR, lw=1.0, zorder=1)


def _draw_all(figure: Figure, panels: Sequence[Axes], drawn: Sequence[Sequence[Marker]]
              ) -> None:
    figure.draw_without_rendering()  # gives the axes their final size
    for axes, markers in zip(panels, drawn, strict=False):
        _draw(axes, markers)


def _draw(axes: Axes, markers: Sequence[Marker]) -> None:
    """Draw lines in the colours and widths of the markers, later ones on top."""
    box = axes.get_window_extent()
    points_per_metre = (box.width / axes.figure.dpi * POINTS_PER_INCH / np.ptp(axes.get_xlim()))
    for order, marker in enumerate(markers):
        points = _side_view(marker)
        step = 2 if marker.type == Marker.LINE_LIST else 1
        segments = np.stack([points[:-1:step], points[1::step]], axis=1)
        colors = [(c.r, c.g, c.b, c.a) for c in list(marker.colors)[:-1:step] or [marker.color]]
        width = max(MIN_WIDTH, marker.scale.x * points_per_metre)
        axes.add_collection(LineCollection(
            list(segments), colors=colors, linewidths=width, zorder=2 + order,
            # Round ends of neighbours that are half transparent would show as beads.
            capstyle='butt' if marker.colors and step == 1 else 'round'), autolim=False)


def _scale(markers: Sequence[Marker]) -> Normalize:
    values = values_of(markers)
    return Normalize(min(values), max(values)) if values else Normalize(0.0, 1.0)


def _legend(markers: Sequence[Marker]) -> list[Line2D]:
    """One entry for every namespace, in the colour of its last line."""
    last = {m.ns: m for m in markers}
    count = Counter(m.ns for m in markers)
    # A candidate has as many paths as the chosen one.
    n_candidates = count[CANDIDATES] // max(1, count[CHOSEN])
    names = {CANDIDATES: f'{n_candidates} {CANDIDATES}'}
    return [Line2D([], [], color=(m.color.r, m.color.g, m.color.b), label=names.get(name, name),
                   lw=LEGEND_WIDTH * m.scale.x) for name, m in last.items()]
