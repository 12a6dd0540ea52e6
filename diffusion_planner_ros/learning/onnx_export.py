# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""Turn a checkpoint into the files of a model bundle."""

from collections.abc import Iterator
from contextlib import contextmanager
import copy
from dataclasses import asdict, dataclass, replace
import logging
from pathlib import Path
from typing import Any
import warnings

import onnx
import torch
from torch import nn, Tensor
from torch._decomp import core_aten_decompositions
from torch.func import functional_call
from torch.fx.experimental.proxy_tensor import make_fx

from ..errors import ModelError
from ..files import written
from ..robot import Robot
from ..schedule import CLEAN
from .graphs.half_weights import with_half_weights
from .graphs.plan_graph import plan_graph
from .learner import Averages, load_checkpoint
from .networks.builders import build_networks
from .networks.model_networks import ModelNetworks
from .networks.return_conditioned import ClassifierFree
from .random_conditions import first_states
from .train_config import TrainConfig

MAX_BATCH = 4096


def value_and_gradient(value: nn.Module, weights: dict[str, Tensor], x_t: Tensor, t: Tensor
                       ) -> tuple[Tensor, Tensor]:
    """
    Return the value of noised windows and its gradient with respect to them.

    :param value: maps x_t and t to the value.
    :param weights: parameters and buffers to compute with, as in its ``state_dict()``.
    :param x_t: shape (B, H, D).
    :param t: diffusion times, shape (B,).
    :return: shapes (B,) and (B, H, D).
    """
    with torch.enable_grad():
        x_t = x_t.detach().requires_grad_(True)
        values = functional_call(value, weights, (x_t, t))
        gradient, = torch.autograd.grad(values.sum(), x_t)
    return values.detach(), gradient


@dataclass(frozen=True)
class TrainedModel:
    """The averaged networks of a checkpoint, and the facts that go into the bundle."""

    networks: ModelNetworks
    robot: Robot
    config: TrainConfig
    facts: dict[str, Any]

    @property
    def denoiser(self) -> nn.Module:
        """
        Predicts x_0 (B, H, D) from x_t (B, H, D), t (B,) and what is known (B, H, D).

        One that can be told a return takes it and a weight, too, see ``ClassifierFree``.
        """
        diffusion = self.networks.diffusion
        return ClassifierFree(diffusion) if self.config.return_share else diffusion

    @property
    def value(self) -> nn.Module:
        """Predicts the normalised return-to-go (B,) from x_t (B, H, D) and t (B,)."""
        return self.networks.value

    @property
    def dynamics_model(self) -> nn.Module:
        """Predicts the next state (B, S) from a row (B, D)."""
        return self.networks.dynamics_model

    @property
    def inverse_dynamics(self) -> nn.Module | None:
        """Predicts the action (B, A) between two states (B, S), where states alone are planned."""
        return dict(self.networks.items()).get('inverse_dynamics')

    @property
    def has_plan(self) -> bool:
        """Whether there is a graph of whole plans: it knows joint windows and no wanted return."""
        return self.config.window == 'joint' and not self.config.return_share

    @classmethod
    def load(cls, checkpoint: Path) -> 'TrainedModel':
        """
        Read the averaged networks of a checkpoint.

        :raises ModelError: if it is missing or not a checkpoint.
        """
        saved = load_checkpoint(checkpoint)
        try:
            config = TrainConfig(**saved['config'])
        except TypeError as error:
            raise ModelError(f'{checkpoint}: from another version of this program '
                             f'({error}); train again') from error
        robot = Robot.from_dict(saved['robot'], str(checkpoint))
        averages = Averages(build_networks(config, robot))
        averages.load_state_dict(saved['averages'])
        networks = averages.module.eval().requires_grad_(False)
        facts = {
            'robot': robot.to_dict(),
            'horizon': config.horizon,
            'window': config.window,
            'schedule': {'name': config.schedule, 'n_steps': config.n_diffusion_steps},
            'normalizer': {'mean': saved['mean'], 'std': saved['std']},
            'value_normalizer': {'mean': [saved['value_mean']], 'std': [saved['value_std']]},
            'value_clean_time': CLEAN,
            'reward_scale': saved['reward_scale'],
            'training': {**asdict(config), 'n_updates_done': saved['n_updates']},
            'data': saved['facts']}
        return cls(networks, robot, config, facts)

    def rounded(self) -> 'TrainedModel':
        """Return the model with weights rounded to half precision: files of half the size."""
        networks = copy.deepcopy(self.networks)
        with torch.no_grad():
            for weight in networks.parameters():
                weight.copy_(weight.half().to(weight.dtype))
        return replace(self, networks=networks)

    def value_and_gradient(self, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return V(x_t, t) (B,) and its gradient with respect to x_t (B, H, D)."""
        return value_and_gradient(self.value, dict(self.value.state_dict()), x_t, t)

    def example(self, batch_size: int, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Return random inputs x_t and t; a row of x_t is one for the dynamics model."""
        generator = torch.Generator().manual_seed(seed)
        row_dim = self.robot.action_dim + self.robot.state_dim
        return (torch.randn(batch_size, self.config.horizon, row_dim, generator=generator),
                torch.randint(self.config.n_diffusion_steps, (batch_size,), generator=generator))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's advice to developers of torch from a user who only exports."""
    logger = logging.getLogger('torch.onnx')
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        try:
            yield
        finally:
            logger.setLevel(level)


class ValueWithGradient(nn.Module):
    """
    A value network and its gradient as a graph of plain operations, for a batch of any size.

    The ONNX exporter does not see through ``torch.autograd.grad``; in a trace of it nothing is
    left to see through. The weights are inputs of the trace, so that they keep their names.

    :param value: maps x_t (B, H, D) and t (B,) to the value (B,).
    :param x_t: an example, of another batch size than 1: that would be taken for a constant.
    :param t: diffusion times of the example.
    """

    def __init__(self, value: nn.Module, x_t: Tensor, t: Tensor) -> None:
        super().__init__()
        self.value = value
        with _quiet():
            self._graph = make_fx(
                # The tracer must see nothing but tensors.
                lambda weights, x_t, t: value_and_gradient(value, weights, x_t, t),
                # Torch does not take its own table by the hint.
                decomposition_table=core_aten_decompositions(),  # type: ignore[arg-type]
                tracing_mode='symbolic', _allow_non_fake_inputs=True)(self._weights(), x_t, t)

    def _weights(self) -> dict[str, Tensor]:
        # As state_dict() has them, but so that the exporter knows whose they are.
        return {**dict(self.value.named_parameters()), **dict(self.value.named_buffers())}

    def forward(self, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        """Return V(x_t, t) (B,) and its gradient with respect to x_t (B, H, D)."""
        return self._graph(self._weights(), x_t, t)


def _save(model: nn.Module, example: dict[str, Tensor], outputs: list[str], file: Path, *,
          optimize: bool) -> None:
    batch = torch.export.Dim('batch', min=1, max=MAX_BATCH)
    with _quiet():
        program = torch.onnx.export(
            model, tuple(example.values()), dynamo=True, verbose=False, optimize=optimize,
            input_names=list(example), output_names=outputs,
            dynamic_shapes=tuple({0: batch} for _ in example))
    assert program is not None  # with dynamo there always is one
    _write(program.model_proto, file)


def export_networks(model: TrainedModel, denoiser_file: Path, value_file: Path,
                    dynamics_file: Path, plan_file: Path, inverse_file: Path, *,
                    optimize: bool = True) -> None:
    """
    Write denoiser, value with its gradient, dynamics model and whole plan as ONNX.

    All are for any batch size. Inverse dynamics and the whole plan are written where the model has
    them.

    :param optimize: whether to compute ahead what depends on weights alone; onnxruntime does the
        same when it loads a file. Without it every weight is in the file under its own name. With
        it, weights that half precision holds exactly are stored so.
    :raises OutputError: if a file cannot be written.
    """
    x_t, t = model.example(3)
    inputs = {'x_t': x_t, 'times': t}
    known = first_states(x_t, model.robot.action_dim)
    told = {}
    if model.config.return_share:
        told = {'wanted': torch.zeros(len(x_t)), 'weight': torch.ones(len(x_t))}
    _save(model.denoiser, {**inputs, 'known': known, **told}, ['x_0'], denoiser_file,
          optimize=optimize)
    _save(ValueWithGradient(model.value, x_t, t), inputs, ['value', 'gradient'], value_file,
          optimize=optimize)
    _save(model.dynamics_model, {'row': x_t[:, 0]}, ['next_state'], dynamics_file,
          optimize=optimize)
    if model.inverse_dynamics is not None:
        state = x_t[:, 0, model.robot.action_dim:]
        _save(model.inverse_dynamics, {'state': state, 'next_state': state.clone()}, ['action'],
              inverse_file, optimize=optimize)
    if optimize:
        for file in (denoiser_file, value_file, dynamics_file):
            _write(with_half_weights(onnx.load(file)), file)
    if model.has_plan:
        _write(plan_graph(onnx.load(denoiser_file), onnx.load(value_file),
                          model.config.n_diffusion_steps), plan_file)


def export_policy(policy: nn.Module, state_dim: int, file: Path) -> None:
    """
    Write a policy, from states (B, S) to actions (B, A), as ONNX, for any batch size.

    :raises OutputError: if the file cannot be written.
    """
    _save(policy, {'state': torch.zeros(3, state_dim)}, ['action'], file, optimize=True)


def _write(model: onnx.ModelProto, file: Path) -> None:
    """Write a model without the exporter's notes, which name folders of this machine."""
    graph = model.graph
    for noted in (graph, *graph.node, *graph.value_info, *graph.initializer, *graph.input,
                  *graph.output):
        del noted.metadata_props[:]
    with written(file) as scratch:
        onnx.save(model, str(scratch))


def exported_networks(model: TrainedModel) -> tuple[nn.Module, nn.Module, nn.Module]:
    """Return denoiser, value and dynamics model; the exported weights are named as theirs are."""
    return model.denoiser, nn.ModuleDict({'value': model.value}), model.dynamics_model


class WeightWriter:
    """
    Write networks as ONNX again and again, tracing them only once.

    Tracing takes seconds, and between two rounds of an alignment nothing but weights changes.

    :param model: networks of the shapes to be written; their weights do not matter.
    :param folder: for the traced files, which are used up.
    :param names: files of denoiser, value, dynamics model, plan and inverse dynamics.
    :raises ModelError: if a weight is not in the traced files under its own name.
    """

    def __init__(self, model: TrainedModel, folder: Path, names: tuple[str, ...]) -> None:
        export_networks(model, *(folder / name for name in names), optimize=False)
        *networks, self._plan_file, _ = names
        self._graphs = {name: onnx.load(folder / name) for name in networks}
        for (file, graph), network in zip(
                self._graphs.items(), exported_networks(model), strict=True):
            shapes = {tensor.name: tuple(tensor.dims) for tensor in graph.graph.initializer}
            lost = [name for name, weight in network.named_parameters()
                    if shapes.get(name) != weight.shape]
            if lost:
                raise ModelError(f"{folder / file}: {len(lost)} weights, '{lost[0]}' among them, "
                                 'are not in the graph under their own names, expected all; '
                                 'install another version of torch')

    def write(self, model: TrainedModel, folder: Path) -> None:
        """
        Write a model's weights to files in ``folder``.

        :param model: networks of the same shapes as those that were traced.
        :raises OutputError: if a file cannot be written.
        """
        for (file, graph), network in zip(
                self._graphs.items(), exported_networks(model), strict=True):
            weights = network.state_dict()
            for tensor in graph.graph.initializer:
                if tensor.name in weights:
                    weight = weights[tensor.name].contiguous().numpy()
                    tensor.CopyFrom(onnx.numpy_helper.from_array(weight, tensor.name))
            _write(graph, folder / file)
        denoiser, value, _ = self._graphs.values()
        _write(plan_graph(denoiser, value, model.config.n_diffusion_steps),
               folder / self._plan_file)
