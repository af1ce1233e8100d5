"""PyTorch: tensors by class, dtype, shape, device and elements in C order, whatever their strides or storage."""

from typing import Any

import torch

from nbflow.keys.arrays import raw
from nbflow.keys.encode import Encoder, Node, join, register, unnamed


def _tensor(encoder: Encoder, value: Any) -> Node:
    if value.is_meta:
        raise encoder.refusal(value, "without data on the meta device")
    about: tuple[Any, ...]
    about = (str(value.dtype), tuple(value.shape), value.requires_grad, str(value.device), str(value.layout))
    about += (value.names,) * value.has_names()
    grad = value.grad if value.is_leaf else None
    plain = value.detach().cpu().resolve_conj().resolve_neg()
    parts: tuple[Any, ...]
    if value.is_quantized:
        parts = (str(value.qscheme()), *_scale(value), plain.int_repr())
    elif value.layout in (torch.sparse_csr, torch.sparse_bsr):
        parts = (plain.crow_indices(), plain.col_indices(), plain.values())
    elif value.layout in (torch.sparse_csc, torch.sparse_bsc):
        parts = (plain.ccol_indices(), plain.row_indices(), plain.values())
    elif value.layout == torch.sparse_coo:
        plain = plain.coalesce()
        parts = (plain.indices(), plain.values())
    else:
        parts = (_strided(plain),)
    return Node(join(b"tensor", [encoder.kind(type(value))]), (about, grad, *parts), label=unnamed)


def _scale(value: Any) -> tuple[Any, ...]:
    """What the whole numbers of a quantized tensor stand for."""
    if "per_channel" in str(value.qscheme()):
        return value.q_per_channel_scales(), value.q_per_channel_zero_points(), value.q_per_channel_axis()
    return value.q_scale(), value.q_zero_point()


def _strided(value: Any) -> bytes:
    same_width = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}.get(value.element_size())
    return raw(value.view(same_width).numpy() if same_width else torch.view_as_real(value).numpy())


def _generator(_: Encoder, value: Any) -> Node:
    return Node(b"torch generator", (str(value.device), value.get_state()), label=unnamed)


def _named(_: Encoder, value: Any) -> bytes:
    return join(b"torch", [repr(value).encode()])


register(torch.Tensor, _tensor, subclasses=True)
register(torch.Generator, _generator)
for _kind in (torch.dtype, torch.device, torch.layout, torch.memory_format):
    register(_kind, _named)
