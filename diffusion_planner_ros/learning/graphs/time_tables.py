# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Compute ahead what a network makes of the diffusion time alone."""

import numpy as np
import onnx
from onnx import helper, ModelProto, NodeProto, numpy_helper, TensorProto
from onnx.reference import ReferenceEvaluator

from ...schedule import CLEAN

# What they return is the size of a batch, whatever the times.
SIZES = ('Shape', 'Size')


def with_time_tables(model: ModelProto, n_diffusion_steps: int) -> ModelProto:
    """
    Return the same network with tables in place of what depends on the diffusion time alone.

    :param model: a network that takes ``times`` (B,), among other inputs.
    :param n_diffusion_steps: T; its times are 0 to T - 1, and ``CLEAN``.
    """
    graph = model.graph
    constant = {tensor.name for tensor in graph.initializer} | {''}
    timed, computed_ahead, kept = {'times'}, [], []
    for node in graph.node:
        inputs = set(node.input)
        if inputs <= constant:
            constant.update(node.output)
            computed_ahead.append(node)
            kept.append(node)
        elif inputs <= constant | timed and node.op_type not in SIZES:
            timed.update(node.output)
            computed_ahead.append(node)
        else:
            kept.append(node)
    read = {name for node in kept for name in node.input} | {end.name for end in graph.output}
    tabulated = sorted(timed & read - {'times', ''})
    # Python's index -1, CLEAN, is the last row.
    times = np.append(np.arange(n_diffusion_steps), CLEAN)
    tables = _evaluate(model, computed_ahead, tabulated, times)
    if any(len(table) != len(times) for table in tables):
        return model  # not a row per time
    small = ModelProto()
    small.CopyFrom(model)
    look_ups = [helper.make_node('Gather', [f'{name}_table', 'times'], [name], axis=0)
                for name in tabulated]
    del small.graph.node[:]
    small.graph.node.extend([*look_ups, *kept])
    read |= {name for node in look_ups for name in node.input}
    del small.graph.initializer[:]
    small.graph.initializer.extend(
        [*(tensor for tensor in graph.initializer if tensor.name in read),
         *(numpy_helper.from_array(table, f'{name}_table')
           for name, table in zip(tabulated, tables, strict=True))])
    return small


def _evaluate(model: ModelProto, nodes: list[NodeProto], outputs: list[str], times: np.ndarray
              ) -> list[np.ndarray]:
    if not outputs:
        return []
    graph = helper.make_graph(
        nodes, 'times', [helper.make_tensor_value_info('times', TensorProto.INT64, [None])],
        [onnx.ValueInfoProto(name=name) for name in outputs], model.graph.initializer)
    evaluated = helper.make_model(graph, opset_imports=model.opset_import,
                                  ir_version=model.ir_version)
    return list(ReferenceEvaluator(evaluated).run(outputs, {'times': times}))
