# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Words and colours of the page, as HTML; what comes from elsewhere is escaped."""

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from ...display.markers import CHOSEN_COLOR, EXECUTED_COLOR, VALUE_COLORS
from ..robot.link_shapes import Color
from ..verdict import Level, Verdict

# viser's sliders cover the numbers at their ends.
STYLE = '<style>.mantine-Slider-markLabel{margin-top:0.3rem}</style>'
N_NAMED = 6  # links of one colour that the legend names
LEAST_PUSH = 0.005  # [N s] that is worth a word
COLORS: dict[Level, tuple[str, str]] = {  # of the background, of the text
    'good': ('#e3f5ec', '#0b6b43'), 'warning': ('#fff3d6', '#8a5a00'),
    'bad': ('#c92a2a', '#ffffff'), 'idle': ('#eceff3', '#444b55')}


def banner(verdict: Verdict, robot: str) -> str:
    """Return the first line of the page: how the robot is."""
    background, color = COLORS[verdict.level]
    name = f'<div style="font-size:0.8em;opacity:0.8">{escape(robot)}</div>' if robot else ''
    return (f'<div id="verdict" data-level="{verdict.level}" style="background:{background};'
            f'color:{color};padding:0.55em 0.7em;margin:0.3em 0.5em;border-radius:6px;'
            f'font-weight:600;overflow-wrap:anywhere">{name}{escape(verdict.text)}</div>')


def judged(verdict: Verdict) -> str:
    """Return a line in the colours of how bad it is."""
    background, color = COLORS[verdict.level]
    return (f'<div style="background:{background};color:{color};font-size:0.8em;'
            f'padding:0.3em 0.6em;margin:0.2em 0.5em;border-radius:4px">{escape(verdict.text)}'
            '</div>')


def table(rows: Mapping[str, tuple[str, str]]) -> str:
    """
    Return names and values, one below the other.

    :param rows: by name a value, and what it means, which is shown where the pointer rests.
    """
    lines = ''.join(f'<tr style="cursor:help" title="{escape(about)}">'
                    f'<td style="color:#666;padding-right:0.8em">{escape(name)}</td>'
                    f'<td style="font-variant-numeric:tabular-nums;overflow-wrap:anywhere">'
                    f'{escape(value)}</td></tr>' for name, (value, about) in rows.items())
    return f'<table style="margin:0.2em 0.7em;font-size:0.82em">{lines}</table>'


def grid(rows: Mapping[str, str]) -> str:
    """Return names and values, two of them beside one another."""
    cells = ''.join(f'<span><span style="color:#666">{escape(name)}</span> {escape(value)}</span>'
                    for name, value in rows.items())
    return ('<div style="display:grid;grid-template-columns:1fr 1fr;font-size:0.82em;'
            f'margin:0.2em 0.7em;font-variant-numeric:tabular-nums">{cells}</div>')


def note(text: str, *, is_bad: bool = False) -> str:
    """Return a small remark."""
    color = '#c92a2a' if is_bad else '#666'
    return (f'<div style="color:{color};font-size:0.8em;margin:0.2em 0.7em;overflow-wrap:anywhere"'
            f'>{escape(text)}</div>')


def push_words(strength: float, mass: float, period: float) -> str:
    """
    Return what a push does.

    :param strength: [N s].
    :param mass: of the robot [kg]; 0 if nobody knows.
    :param period: for which it acts, a control period [s]; NaN if nobody knows.
    """
    text = f'{strength:g} N s is an impulse, force times time'
    if period > 0:
        text += f': {_rounded(strength / period)} N for {1e3 * period:g} ms'
    if mass > 0:
        text += (f'. It makes the whole robot, {_rounded(mass)} kg, '
                 f'{_rounded(strength / mass, 2)} m/s faster')
    return text + '.'


def impulse_words(x: float, z: float) -> str:
    """Return where a push forward and up leads [N s], as ``3 N s backward, 1 N s up``."""
    parts = [f'{_rounded(abs(size))} N s {names[size < 0]}'
             for size, names in ((x, ('forward', 'backward')), (z, ('up', 'down')))
             if abs(size) > LEAST_PUSH]
    return ', '.join(parts) or 'nothing'


def torque_bars(torques: Mapping[str, tuple[float, float]]) -> str:
    """Return a bar for every joint: its torque and its limit [N m], from the middle outwards."""
    rows = []
    for joint, (torque, limit) in torques.items():
        share = min(1.0, abs(torque) / limit) if limit > 0 else 0.0
        left = 50.0 if torque >= 0 else 50.0 - 50.0 * share
        color = '#c92a2a' if share > 0.98 else '#4c6ef5'
        rows.append(
            f'<div style="display:flex;align-items:center;gap:0.5em;font-size:0.75em">'
            f'<span style="width:8.5em;overflow:hidden;text-overflow:ellipsis">{escape(joint)}'
            f'</span><span style="flex:1;position:relative;height:0.8em;background:#eceff3">'
            f'<span style="position:absolute;left:{left:.1f}%;width:{50 * share:.1f}%;height:100%;'
            f'background:{color}"></span><span style="position:absolute;left:50%;height:100%;'
            f'border-left:1px solid #888"></span></span>'
            f'<span style="width:6.2em;text-align:right;font-variant-numeric:tabular-nums">'
            f'{torque:+.0f} of {limit:.0f}</span></div>')
    return f'<div style="margin:0.2em 0.7em">{"".join(rows)}</div>'


def legend(links: Mapping[Color, Sequence[str]]) -> str:
    """
    Return what the colours of the drawing mean.

    :param links: of the robot, by their colour.
    """
    ramp = ', '.join(_hex(color) for color in VALUE_COLORS)
    strips = ((f'linear-gradient(90deg, {ramp})', 'candidates: worst to best value'),
              (_hex(CHOSEN_COLOR), 'chosen plan, with the robot along it'),
              (_hex(EXECUTED_COLOR), 'where the robot was'),
              *((_hex(color), _shortened(names)) for color, names in links.items()))
    rows = ''.join(
        f'<div style="display:flex;align-items:center;gap:0.6em"><span style="width:2.6em;'
        f'height:0.35em;flex:none;border-radius:2px;background:{color}"></span>{escape(text)}'
        '</div>' for color, text in strips)
    return f'<div style="margin:0.3em 0.7em;font-size:0.8em;color:#444">{rows}</div>'


def _rounded(number: float, digits: int = 3) -> str:
    """Return a number to so many digits, without an exponent."""
    return f'{float(f"{number:.{digits}g}"):,.10g}'


def _shortened(names: Sequence[str]) -> str:
    more = len(names) - N_NAMED
    return ', '.join(names[:N_NAMED]) + (f' and {more} more' if more > 0 else '')


def _hex(rgb: Iterable[float]) -> str:
    return '#' + ''.join(f'{round(255 * float(channel)):02x}' for channel in rgb)
