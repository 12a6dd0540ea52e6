# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Store weights in half of the space where nothing is lost by that."""

import numpy as np
from onnx import helper, ModelProto, numpy_helper, TensorProto

LEAST_SIZE = 1024  # elements of a tensor that is worth a node


def with_half_weights(model: ModelProto) -> ModelProto:
    """
    Return the same network, with weights in half precision wherever that holds them exactly.

    They are cast back when the file is loaded: onnxruntime computes ahead what depends on weights
    alone, so that planning takes as long and gives the same.
    """
    small = ModelProto()
    small.CopyFrom(model)
    del small.graph.initializer[:]
    casts = []
    for tensor in model.graph.initializer:
        stored = _half(tensor)
        if stored is not None:
            casts.append(helper.make_node('Cast', [stored.name], [tensor.name],
                                          to=TensorProto.FLOAT))
        small.graph.initializer.append(tensor if stored is None else stored)
    nodes = list(small.graph.node)
    del small.graph.node[:]
    small.graph.node.extend([*casts, *nodes])
    return small


def _half(tensor: TensorProto) -> TensorProto | None:
    """Return a tensor in half precision under another name; None if it is small or changes."""
    if tensor.data_type != TensorProto.FLOAT:
        return None
    values = numpy_helper.to_array(tensor)
    with np.errstate(over='ignore'):
        half = values.astype(np.float16)
    if values.size < LEAST_SIZE or not np.array_equal(half.astype(np.float32), values):
        return None
    return numpy_helper.from_array(half, f'{tensor.name}_half')
