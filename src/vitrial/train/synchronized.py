"""Batch normalization over the whole batch, though its images lie on several devices."""

from __future__ import annotations

from types import MethodType
from typing import Any

import torch
import torch.nn.functional as F
from timm.layers import BatchNormAct2d, convert_sync_batchnorm
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm


def synchronize_batch_norm(model: nn.Module, device: torch.device) -> nn.Module:
    """Let all batch normalization of a model take its statistics from all processes.

    On a GPU by PyTorch's `SyncBatchNorm`. That refuses a CPU, where the same is computed here. The
    names of weights and buffers stay as they are.
    """
    if device.type != "cpu":
        converted: nn.Module = convert_sync_batchnorm(model)
        return converted
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.forward = MethodType(_forward, module)  # type: ignore[method-assign]
    return model


class _Sum(torch.autograd.Function):
    """The sum of a tensor over all processes; so is the gradient, for each has a share of it."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        total = gradients[0].clone()
        distributed.all_reduce(total)
        return total


def _forward(module: Any, x: Tensor) -> Tensor:
    """Of a batch normalization, and of timm's with an activation."""
    normalized = _normalized(module, x)
    if isinstance(module, BatchNormAct2d):
        activated: Tensor = module.act(module.drop(normalized))
        return activated
    return normalized


def _normalized(module: _BatchNorm, x: Tensor) -> Tensor:
    """What `torch.nn.functional.batch_norm` gives of the images of all processes at once."""
    if not module.training:
        statistics = module.running_mean, module.running_var
        return F.batch_norm(x, *statistics, module.weight, module.bias, eps=module.eps)
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    axes = [axis for axis in range(x.ndim) if axis != 1]
    shape = [1, -1] + [1] * (x.ndim - 2)
    count = torch.full((1,), x.numel() // x.shape[1], dtype=wide.dtype)
    sums = _Sum.apply(torch.cat([wide.sum(axes), count]))
    mean = sums[:-1] / sums[-1]
    centered = wide - mean.view(shape)
    var = _Sum.apply((centered**2).sum(axes)) / sums[-1]
    _follow(module, mean.detach(), var.detach(), float(sums[-1].detach()))
    normalized = centered * torch.rsqrt(var + module.eps).view(shape)
    if module.affine:
        normalized = normalized * module.weight.view(shape) + module.bias.view(shape)
    result: Tensor = normalized.to(x.dtype)
    return result


def _follow(module: _BatchNorm, mean: Tensor, var: Tensor, count: float) -> None:
    """Move the running statistics as PyTorch does: of the variance, the unbiased one."""
    if not module.track_running_stats or module.num_batches_tracked is None:
        return
    assert module.running_mean is not None
    assert module.running_var is not None
    module.num_batches_tracked.add_(1)
    momentum = module.momentum
    if momentum is None:
        momentum = 1 / float(module.num_batches_tracked)
    module.running_mean.lerp_(mean.to(module.running_mean.dtype), momentum)
    unbiased = var * count / (count - 1)
    module.running_var.lerp_(unbiased.to(module.running_var.dtype), momentum)
