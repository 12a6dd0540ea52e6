# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Charts as SVG; the page's own script shows the values under the pointer."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
import json
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 70, 14, 10, 40  # margins
MAX_POINTS = 600  # of a line
N_COLORS = 8  # that the page's style has


@dataclass(frozen=True)
class Series:
    """A line, or points, with a name."""

    name: str
    x: ArrayLike
    y: ArrayLike
    """NaN interrupts the line."""


class _Scale:
    """Brings values to pixels; its ticks are round numbers."""

    def __init__(self, values: NDArray, begin: float, end: float) -> None:
        finite = values[np.isfinite(values)]
        low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 1.0)
        pad = 0.04 * (high - low) or 0.05 * abs(high) or 1.0
        self.low, self.high = float(low - pad), float(high + pad)
        self.begin, self.end = begin, end

    def __call__(self, values: ArrayLike) -> NDArray:
        share = (np.asarray(values, dtype=float) - self.low) / (self.high - self.low)
        return self.begin + share * (self.end - self.begin)

    def ticks(self, least: float = 0.0) -> tuple[list[float], list[str]]:
        """Return where ticks are, ``least`` apart or more, and what stands there."""
        rough = max((self.high - self.low) / 5, least)
        power = 10 ** math.floor(math.log10(rough))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
        first = math.ceil(self.low / step)
        ticks = [k * step for k in range(first, math.floor(self.high / step) + 1)]
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        return ticks, [f'{tick:,.{decimals}f}' for tick in ticks]


def line_chart(title: str, x_label: str, y_label: str, series: Sequence[Series], *,
               faint: Sequence[Series] = ()) -> str:
    """
    Draw lines.

    :param faint: further lines, of which the pointer shows nothing, all in one colour and of one
        name, the first's.
    """
    every = [*series, *faint]
    if not series:
        return ''
    x_scale, y_scale = _scales([s.x for s in every], [s.y for s in every])
    shown = [_thinned(s) for s in series]
    drawn = [f'<path class="line c{i % N_COLORS}" d="{_path(x_scale(s.x), y_scale(s.y))}"/>'
             for i, s in enumerate(shown)]
    drawn += [f'<path class="faint" d="{_path(x_scale(s.x), y_scale(s.y))}"/>' for s in faint]
    values = {'x': _numbers(x_scale.low, x_scale.high), 'y': _numbers(y_scale.low, y_scale.high),
              'series': [{'name': s.name, 'x': _numbers(*np.asarray(s.x, dtype=float)),
                          'y': _numbers(*np.asarray(s.y, dtype=float))} for s in shown]}
    legend = [(f'c{i % N_COLORS}', s.name) for i, s in enumerate(shown)]
    legend += [('faint', s.name) for s in faint[:1]]
    return _figure(title, _axes(x_scale, y_scale, x_label, y_label), drawn,
                   legend if len(legend) > 1 else [], values)


def point_chart(title: str, x_label: str, y_label: str, series: Sequence[Series], *,
                texts: Sequence[Sequence[str]], marked: Sequence[Sequence[bool]] = ()) -> str:
    """
    Draw points at whole numbers.

    :param texts: of every series, what the pointer shows at each point.
    :param marked: of every series, which points are to be pointed out.
    """
    x_scale, y_scale = _scales([s.x for s in series], [s.y for s in series])
    drawn = []
    for i, one in enumerate(series):
        flags = marked[i] if marked else [False] * len(texts[i])
        drawn += [f'<circle class="{"bad" if flag else f"c{i % N_COLORS}"}" cx="{x:.1f}" '
                  f'cy="{y:.1f}" r="5"><title>{escape(text)}</title></circle>'
                  for x, y, text, flag in zip(x_scale(one.x), y_scale(one.y), texts[i], flags,
                                              strict=True)]
    legend = [(f'c{i % N_COLORS}', s.name) for i, s in enumerate(series)]
    if any(map(any, marked)):
        legend.append(('bad', 'fell'))
    return _figure(title, _axes(x_scale, y_scale, x_label, y_label, least_x=1.0), drawn,
                   legend if len(legend) > 1 else [])


def histogram(title: str, x_label: str, edges: Sequence[float], counts: Sequence[int]) -> str:
    """Draw how often values fell between edges, one more than counts."""
    x_scale, y_scale = _scales([edges], [[0.0, *counts]])
    x, floor = x_scale(edges), float(y_scale(0.0))
    total = sum(counts)
    drawn = []
    for k, count in enumerate(counts):
        text = (f'{edges[k]:.3g} to {edges[k + 1]:.3g}: {count:,} of {total:,} '
                f'({count / total:.1%})')
        top = float(y_scale(count))
        drawn.append(f'<rect class="c0" x="{x[k]:.1f}" y="{top:.1f}" '
                     f'width="{max(x[k + 1] - x[k] - 1, 0.5):.1f}" height="{floor - top:.1f}">'
                     f'<title>{escape(text)}</title></rect>')
    return _figure(title, _axes(x_scale, y_scale, x_label, 'how often'), drawn, [])


def interval_chart(title: str, x_label: str, names: Sequence[str],
                   series: Sequence[tuple[str, Sequence[float], Sequence[float | None],
                                          Sequence[str]]]) -> str:
    """
    Draw a row for every name, with a point and its standard error for every series.

    :param series: of each its name, means, standard errors, and what the pointer shows; a mean
        that is NaN is left out.
    """
    height = 24 * len(names) + TOP + BOTTOM
    errors = [[e or 0.0 for e in stderr] for _, _, stderr, _ in series]
    ends = [np.asarray(means) + sign * np.asarray(error)
            for (_, means, _, _), error in zip(series, errors, strict=True) for sign in (-1, 1)]
    left = 190
    scale = _Scale(np.concatenate(ends), left, WIDTH - RIGHT)
    bottom = height - BOTTOM
    parts = [_x_ticks(scale, TOP, bottom), _x_label(x_label, left, bottom)]
    for k, name in enumerate(names):
        y = TOP + 24 * k + 12
        parts.append(f'<text class="tick end" x="{left - 8}" y="{y + 4}">{escape(name)}</text>')
        for i, ((_, means, _, texts), error) in enumerate(zip(series, errors, strict=True)):
            if not math.isfinite(means[k]):
                continue
            at = y + 7 * (i - (len(series) - 1) / 2)
            low, x, high = scale([means[k] - error[k], means[k], means[k] + error[k]])
            parts.append(f'<path class="line c{i % N_COLORS}" d="M{low:.1f} {at:.1f}H{high:.1f}"/>'
                         f'<circle class="c{i % N_COLORS}" cx="{x:.1f}" cy="{at:.1f}" r="4">'
                         f'<title>{escape(texts[k])}</title></circle>')
    legend = [(f'c{i % N_COLORS}', name) for i, (name, *_) in enumerate(series)]
    return _figure(title, '', parts, legend if len(legend) > 1 else [], height=height)


def _scales(x: Sequence[ArrayLike], y: Sequence[ArrayLike]) -> tuple[_Scale, _Scale]:
    whole = [np.concatenate([np.asarray(values, dtype=float).ravel() for values in part])
             for part in (x, y)]
    return (_Scale(whole[0], LEFT, WIDTH - RIGHT), _Scale(whole[1], HEIGHT - BOTTOM, TOP))


def _thinned(series: Series) -> Series:
    x, y = np.asarray(series.x), np.asarray(series.y, dtype=float)
    at = np.unique(np.linspace(0, len(x) - 1, min(len(x), MAX_POINTS)).round().astype(int))
    return Series(series.name, x[at], y[at])


def _numbers(*values: float) -> list[float | None]:
    """Return numbers for JSON, which has no NaN."""
    return [float(f'{value:.5g}') if math.isfinite(value) else None for value in values]


def _path(x: NDArray, y: NDArray) -> str:
    words, is_down = [], False
    for a, b in zip(x, y, strict=True):
        if math.isfinite(b):
            words.append(f'{"L" if is_down else "M"}{a:.1f} {b:.1f}')
        is_down = math.isfinite(b)
    return ''.join(words) + ('h0' if len(words) == 1 else '')


def _x_ticks(scale: _Scale, top: float, bottom: float, least: float = 0.0) -> str:
    ticks, texts = scale.ticks(least)
    return ''.join(f'<path class="grid" d="M{x:.1f} {top}V{bottom}"/><text class="tick middle" '
                   f'x="{x:.1f}" y="{bottom + 16}">{text}</text>'
                   for text, x in zip(texts, scale(ticks), strict=True))


def _x_label(text: str, left: float, bottom: float) -> str:
    return (f'<text class="label middle" x="{(left + WIDTH - RIGHT) / 2:.0f}" '
            f'y="{bottom + 34}">{escape(text)}</text>')


def _axes(x_scale: _Scale, y_scale: _Scale, x_label: str, y_label: str, *,
          least_x: float = 0.0) -> str:
    bottom = HEIGHT - BOTTOM
    ticks, texts = y_scale.ticks()
    y_ticks = ''.join(
        f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/><text class="tick end" '
        f'x="{LEFT - 6}" y="{y + 4:.1f}">{text}</text>'
        for text, y in zip(texts, y_scale(ticks), strict=True))
    middle = (TOP + bottom) / 2
    return (_x_ticks(x_scale, TOP, bottom, least_x) + y_ticks + _x_label(x_label, LEFT, bottom)
            + f'<text class="label middle" transform="rotate(-90 14 {middle})" x="14" '
            f'y="{middle}">{escape(y_label)}</text>')


def _figure(title: str, axes: str, drawn: Sequence[str], legend: Sequence[tuple[str, str]],
            values: dict | None = None, height: int = HEIGHT) -> str:
    entries = ''.join(f'<span><i class="{color}"></i>{escape(name)}</span>'
                      for color, name in legend)
    hover = ''
    if values is not None:
        box = [LEFT, TOP, WIDTH - RIGHT, height - BOTTOM]
        hover = f' data-chart="{escape(json.dumps({**values, "box": box}))}"'
    return (f'<figure{hover}><figcaption>{escape(title)}</figcaption>'
            f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">'
            f'{axes}{"".join(drawn)}</svg>'
            f'{f"<div class=legend>{entries}</div>" if entries else ""}</figure>')
