# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
A whole plan as one ONNX graph: denoising steps, guidance, inpainting, value.

The planner calls onnxruntime once for it, instead of several times per denoising step. What
settings change is an input, so one graph serves all of them. It computes what the general loop of
``planning/planner.py`` computes, in the same order.
"""

from collections.abc import Mapping
from string import Template

import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto

from ...schedule import CLEAN
from .time_tables import with_time_tables

# Domain of nodes NETWORK_OUTPUT(x_t, times, ...), which stand for a network's.
NETWORKS = 'networks'

# draws: x_T, then the noise of each step; x_T alone if no step has noise.
# known, mask: one for each trajectory, P = N, or P = 1 for all.
# times: of every x_t, that of the last x_s included.
# steps: factors of x_0, of x_t, of noise before and after the push, and of the value's gradient,
# which pushes x_s. Guided steps come first: two loops are faster than a branch in every step. In
# the others all noise comes before.
PLAN = Template("""
<ir_version: 8, opset_import: ["": 18, "networks": 1]>
plan (float[M, N, $H, $D] draws, float[P, $H, $D] known, bool[P, $H, $D] mask,
      int64[L, 1] times, float[K, 5] steps, int64 n_guided, float bound, float[$D] low,
      float[$D] high)
    => (float[N, $H, $D] x_0, float[N] value)
<bool true = {1}, int64 zero = {0}, int64 one = {1}, int64[1] clean = {$CLEAN}>
{
    draws_shape = Shape(draws)
    n_draws = Gather(draws_shape, zero)
    last_draw = Sub(n_draws, one)
    batch = Shape<start = 1, end = 2>(draws)
    shape = Shape<start = 1>(draws)
    masks = Expand(mask, shape)
    n_times = Size(times)
    n_steps = Sub(n_times, one)
    n_unguided = Sub(n_steps, n_guided)
    lowest = Neg(bound)
    noise = Gather(draws, zero)
    x_T = Where(mask, known, noise)
    x_guided = Loop(n_guided, true, x_T) <body = guided_step
        (int64 k, bool go, float[N, $H, $D] x) => (bool go_on, float[N, $H, $D] x_s)
    {
        $step
        next_time = Gather(times, following)
        s = Expand(next_time, batch)
        gradient = networks.value_gradient(stepped, s)
        push = Mul(of_gradient, gradient)
        pushed = Add(stepped, push)
        part_of_noise_after = Mul(of_noise_after, noise_k)
        noised = Add(pushed, part_of_noise_after)
        x_s = Where(mask, known, noised)
    }>
    x_0 = Loop(n_unguided, true, x_guided) <body = unguided_step
        (int64 i, bool go, float[N, $H, $D] x) => (bool go_on, float[N, $H, $D] x_s)
    {
        k = Add(i, n_guided)
        $step
        x_s = Identity(stepped)
    }>
    raised = Max(x_0, low)
    within = Min(raised, high)
    clean_times = Expand(clean, batch)
    value = networks.value_value(within, clean_times)
}
""")
STEP = """
        go_on = Identity(go)
        time = Gather(times, k)
        t = Expand(time, batch)
        factors = Gather(steps, k)
        of_x_0, of_x_t, of_noise, of_noise_after, of_gradient
            = Split<axis = 0, num_outputs = 5>(factors)
        predicted = networks.denoiser_x_0(x, t, masks)
        bounded = Clip(predicted, lowest, bound)
        following = Add(k, one)
        draw = Min(following, last_draw)
        noise_k = Gather(draws, draw)
        part_of_x_0 = Mul(of_x_0, bounded)
        part_of_x_t = Mul(of_x_t, x)
        part_of_noise = Mul(of_noise, noise_k)
        mean = Add(part_of_x_0, part_of_x_t)
        noisy_mean = Add(mean, part_of_noise)
        stepped = Where(mask, known, noisy_mean)
"""


def plan_graph(denoiser: ModelProto, value: ModelProto, n_diffusion_steps: int) -> ModelProto:
    """
    Return the graph of a plan.

    :param denoiser: computes ``x_0`` from ``x_t`` (B, H, D), ``times`` (B,) and ``known``
        (B, H, D).
    :param value: computes ``value`` and ``gradient`` from the first two.
    :param n_diffusion_steps: diffusion steps of both, T.
    """
    x_t = denoiser.graph.input[0].type.tensor_type.shape
    horizon, row_dim = (size.dim_value for size in x_t.dim[1:])
    plan = onnx.parser.parse_model(PLAN.substitute(
        H=horizon, D=row_dim, CLEAN=CLEAN, step=STEP))
    plan.ir_version = denoiser.ir_version
    del plan.opset_import[:]
    plan.opset_import.extend(denoiser.opset_import)
    networks = {name: _Network(name, with_time_tables(model, n_diffusion_steps).graph)
                for name, model in (('denoiser', denoiser), ('value', value))}
    _put_in(plan.graph, networks)
    nodes = list(plan.graph.node)
    del plan.graph.node[:]
    for network in networks.values():
        plan.graph.initializer.extend(network.weights)
        plan.graph.node.extend(network.constants)
    plan.graph.node.extend(nodes)
    return plan


class _Network:
    """
    The nodes of a network, for several places in another graph, with one set of weights.

    :param name: begins the names of all that belongs to it.
    """

    def __init__(self, name: str, graph: GraphProto) -> None:
        self._name, self._n_places = name, 0
        self._inputs = [end.name for end in graph.input]
        self.weights: list[TensorProto] = []
        self.constants: list[NodeProto] = []
        """Nodes that read nothing but weights."""
        self._nodes: list[NodeProto] = []
        constant = {tensor.name for tensor in graph.initializer}
        for node in graph.node:
            is_constant = {name for name in node.input if name} <= constant
            constant.update(node.output if is_constant else ())
            (self.constants if is_constant else self._nodes).append(node)
        self._shared = {old: f'{name}/{old}' for old in constant}
        self.constants = [_renamed(node, self._shared) for node in self.constants]
        for tensor in graph.initializer:
            self.weights.append(TensorProto())
            self.weights[-1].CopyFrom(tensor)
            self.weights[-1].name = self._shared[tensor.name]

    def nodes(self, *inputs: str, output: str, result: str) -> list[NodeProto]:
        """
        Return the nodes that compute one output.

        :param inputs: names of the network's inputs in the graph.
        :param output: name of the output in the network, ``result`` that in the graph.
        """
        self._n_places += 1
        prefix = f'{self._name}{self._n_places}'
        names = {name: f'{prefix}/{name}' for node in self._nodes for name in node.output if name}
        names |= self._shared | dict(zip(self._inputs, inputs, strict=True)) | {output: result}
        needed, nodes = {output}, []
        for node in reversed(self._nodes):
            if needed.intersection(node.output):
                needed.update(filter(None, node.input))
                nodes.append(_renamed(node, names))
        return nodes[::-1]


def _renamed(node: NodeProto, names: Mapping[str, str]) -> NodeProto:
    renamed = NodeProto()
    renamed.CopyFrom(node)
    renamed.name = ''
    for ends in (renamed.input, renamed.output):
        ends[:] = [names.get(name, name) for name in ends]
    for attribute in renamed.attribute:
        for inner in attribute.g.node:  # of a branch or a loop
            inner.CopyFrom(_renamed(inner, names))
    return renamed


def _put_in(graph: GraphProto, networks: Mapping[str, _Network]) -> None:
    """Put the nodes of networks in the places of those that stand for them."""
    nodes = []
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField('g'):
                _put_in(attribute.g, networks)
        if node.domain == NETWORKS:
            name, output = node.op_type.split('_', maxsplit=1)
            nodes += networks[name].nodes(*node.input, output=output, result=node.output[0])
        else:
            nodes.append(_renamed(node, {}))
    del graph.node[:]
    graph.node.extend(nodes)
