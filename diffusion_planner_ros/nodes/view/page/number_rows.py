# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""What the nodes count, in words that say what is good."""

from collections.abc import Mapping
import math

from ..verdict import number_in

Row = tuple[str, str]
"""A value, and what it means."""

PLANNER: dict[str, str] = {
    'stops': 'Since the planner was activated. 0 is good.',
    'stop_causes': 'How many stops had each cause.',
    'states_without_plan': 'Control periods that got no plan of their own. Few are good.',
    'clamped_commands': 'Commands with a torque beyond its limit, which was cut to the limit. '
                        'Many are no fault: a fast robot needs all the torque that it has.',
    'monitor_calibration': "'as measured' is good; otherwise the settings in which the planner "
                           'differs from the one that the monitor was made for.',
    'provider_in_use': 'Where onnxruntime computes.',
    'bundle_hash': 'SHA-256 of the model bundle.'}
BRIDGE: dict[str, str] = {
    'mode': "'real time', or 'lockstep': simulated time waits for every torque.",
    'seed': 'Of the episode.',
    'steps': 'Control periods of the episode.',
    'falls': 'Since the simulator was started. 0 is good.',
    'pushes': 'Since the simulator was started.'}


def number_rows(planner: Mapping[str, str], bridge: Mapping[str, str]) -> dict[str, Row]:
    """
    Return what is worth reading, by its name.

    :param planner: facts of its diagnostics.
    :param bridge: the same of the simulator, empty for hardware.
    """
    limit = deadline(planner, bridge)
    of_limit = '' if math.isnan(limit) else f' of {limit:g} ms'
    rows = {}
    for name, key, form, about in (
            ('prediction error', 'prediction_percentile',
             'larger than {:.0f} % of the training data',
             'How far the last state is from its prediction. Above 99 % again and again is bad.'),
            ('state outside the data', 'state_deviation', '{:.2f} standard deviations',
             'How far the last state is outside the range of the training data. 0 is good: it is '
             'inside.'),
            ('median latency', 'latency_p50_ms', f'{{:.1f}} ms{of_limit}',
             'From a state to its torque: half of them take longer.'),
            ('99 % of latencies', 'latency_p99_ms', f'up to {{:.1f}} ms{of_limit}',
             'From a state to its torque. Good if it is less than the deadline.')):
        if not math.isnan(number := number_in(planner, key)):
            rows[name] = form.format(number), about
    steps, missed = number_in(bridge, 'total_steps'), number_in(bridge, 'missed_deadlines')
    if not math.isnan(steps + missed):
        rows['missed deadlines'] = (f'{missed:,.0f} of {steps:,.0f}', 'Torques that came later '
                                    'than the deadline. Good if they are less than 1 %.')
    for facts, names in ((planner, PLANNER), (bridge, BRIDGE)):
        rows |= {key.replace('_', ' '): (facts[key], about) for key, about in names.items()
                 if facts.get(key)}
    return rows


def deadline(planner: Mapping[str, str], bridge: Mapping[str, str]) -> float:
    """Return how long a torque may take [ms]: on hardware, a control period."""
    if 'deadline_ms' in bridge:
        return number_in(bridge, 'deadline_ms')
    return 1e3 * number_in(planner, 'control_period')
