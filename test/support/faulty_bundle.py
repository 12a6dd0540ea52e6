# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Bundles whose real network fails at run time, on states of the test's choice."""

from pathlib import Path
import shutil

import numpy as np
import onnx
from onnx import helper, numpy_helper, TensorProto

from diffusion_planner_ros.learning.graphs.plan_graph import plan_graph
from diffusion_planner_ros.planning.bundle import (
    DENOISER_FILE,
    PLAN_FILE,
    read_facts,
    VALUE_FILE,
    write_facts,
)
from diffusion_planner_ros.share import share_file

TRIGGER_JOINT = 'foot_left_joint'
TRIGGER_VELOCITY = 9.0  # [rad/s], above which the network fails


def faulty_bundle(folder: Path, fault: str) -> Path:
    """
    Copy the shipped bundle with a denoiser that fails where TRIGGER_JOINT moves fast.

    :param fault: 'raise' (onnxruntime raises), 'nan' (its output is NaN) or 'slow' (half a second
        and more for one step).
    """
    shutil.copytree(share_file('models/walker2d'), folder)
    facts = read_facts(folder)
    robot, normalizer = facts['robot'], facts['normalizer']
    n_action = len(robot['action'])
    entry = next(i for i, e in enumerate(robot['state'])
                 if (e['joint'], e['quantity']) == (TRIGGER_JOINT, 'velocity'))
    column = n_action + entry
    threshold = (TRIGGER_VELOCITY - normalizer['mean'][column]) / normalizer['std'][column]
    model = onnx.load_from_string((folder / DENOISER_FILE).read_bytes())
    graph = model.graph
    output = graph.output[0].name
    for node in graph.node:
        node.output[:] = ['sound' if name == output else name for name in node.output]
        node.input[:] = ['sound' if name == output else name for name in node.input]

    def constant(name, value, dtype):
        graph.initializer.append(numpy_helper.from_array(np.array(value, dtype=dtype), name))
        return name

    def add(kind, inputs, outputs, **attributes):
        graph.node.append(helper.make_node(kind, inputs, outputs, **attributes))

    add('Gather', ['x_t', constant('row', 0, np.int64)], ['first'], axis=1)
    add('Gather', ['first', constant('column', column, np.int64)], ['entries'], axis=1)
    add('ReduceMax', ['entries'], ['entry'], keepdims=0)
    add('Greater', ['entry', constant('threshold', threshold, np.float32)], ['is_hit'])
    add('Cast', ['is_hit'], ['hit'], to=TensorProto.INT64)
    if fault == 'raise':
        add('Gather', [constant('one_entry', [0.0], np.float32), 'hit'], ['extra'], axis=0)
    elif fault == 'nan':
        add('Cast', ['hit'], ['hit_float'], to=TensorProto.FLOAT)
        add('Neg', ['hit_float'], ['negative'])
        add('Sqrt', ['negative'], ['extra'])
    else:
        add('Mul', ['hit', constant('trips', 400_000, np.int64)], ['n_trips'])
        body = helper.make_graph(
            [helper.make_node('Identity', ['goes_on'], ['still_goes_on']),
             helper.make_node('Mul', ['sum_before', 'sum_before'], ['sum_after'])], 'body',
            [helper.make_tensor_value_info('i', TensorProto.INT64, []),
             helper.make_tensor_value_info('goes_on', TensorProto.BOOL, []),
             helper.make_tensor_value_info('sum_before', TensorProto.FLOAT, [])],
            [helper.make_tensor_value_info('still_goes_on', TensorProto.BOOL, []),
             helper.make_tensor_value_info('sum_after', TensorProto.FLOAT, [])])
        add('Loop', ['n_trips', constant('true', True, bool),
                     constant('zero', 0.0, np.float32)], ['extra'], body=body)
    add('Add', ['sound', 'extra'], [output])
    (folder / DENOISER_FILE).write_bytes(model.SerializeToString())
    plan = plan_graph(model, onnx.load(folder / VALUE_FILE), facts['schedule']['n_steps'])
    (folder / PLAN_FILE).write_bytes(plan.SerializeToString())
    write_facts(folder, {k: v for k, v in facts.items() if k != 'sha256'})
    return folder
