"""Weights in and out: safetensors only, because a pickle can run code when it is opened."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from brainage_lib.errors import BadInput, WrongUsage
from brainage_lib.files import replacing


def count_parameters(model: nn.Module) -> int:
    """Count the numbers that training changes."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def save_weights(
    model_or_state: nn.Module | Mapping[str, Tensor],
    path: str | os.PathLike,
    metadata: Mapping[str, str],
    half: bool = False,
) -> None:
    """Write weights and buffers to a safetensors file, whole or not at all.

    Parameters
    ----------
    model_or_state : Module or mapping of name to tensor
        A model, or its ``state_dict()``.
    path : path
        Replaced if it exists; its folder is created.
    metadata : mapping of str to str
        What the file is: model, grid, cohort, licence. Numbers are written by the caller.
    half : bool
        Store floating-point tensors in float16, half the size; for shipped weights.

    Raises
    ------
    WrongUsage
        Metadata that is not text, or values that float16 cannot hold.
    """
    texts = {key: value for key, value in metadata.items() if isinstance(value, str)}
    if len(texts) < len(metadata):
        wrong = ", ".join(sorted(str(key) for key in metadata if key not in texts))
        raise WrongUsage(f"metadata of weights must be text; convert with str(): {wrong}")
    if isinstance(model_or_state, nn.Module):
        model_or_state = model_or_state.state_dict()
    state = {}
    for name, tensor in model_or_state.items():
        # A tensor in channels_last_3d would be refused, and so would a view of another one.
        stored = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        if half and stored.is_floating_point():
            stored = stored.to(torch.float16)
            if bool(torch.isinf(stored).any()):
                raise WrongUsage(f"{name} has values beyond float16; save it with half=False")
        state[name] = stored
    with replacing(path) as temporary:
        temporary.write_bytes(_ordered(save(state, metadata=texts)))


def _ordered(stored: bytes) -> bytes:
    """Sort the header of a safetensors file, whose metadata come in a random order.

    Layout (safetensors README): 8 bytes with the header's length, the header in JSON, the
    values at offsets from the header's end. So equal weights give equal bytes, and equal hashes.
    """
    end = 8 + int.from_bytes(stored[:8], "little")
    header = json.dumps(json.loads(stored[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + stored[end:]


def load_weights(path: str | os.PathLike) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read a safetensors file.

    Parameters
    ----------
    path : path

    Returns
    -------
    state : dict of name to tensor
        On the CPU, in the precision of the file.
    metadata : dict of str to str

    Raises
    ------
    BadInput
        The file is missing, cut short or of another format.
    """
    path = Path(path)
    if not path.is_file():
        raise BadInput(str(path), ["no such file; give the path of a .safetensors file"])
    try:
        with safe_open(path, framework="pt", device="cpu") as stored:
            state = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
            return state, dict(stored.metadata() or {})
    except (SafetensorError, OSError) as error:
        finding = (
            f"not a complete safetensors file ({error}); copy it again. Checkpoints in another "
            "format (.pt, .ckpt) are never opened here, because they can run code"
        )
        raise BadInput(str(path), [finding]) from error


def restore(model: nn.Module, path: str | os.PathLike) -> dict[str, str]:
    """Load a file of :func:`save_weights` into a model of the same structure.

    Parameters
    ----------
    model : Module
        Changed in place; not at all if the file does not fit. It keeps its precision.
    path : path

    Returns
    -------
    dict of str to str
        The file's metadata.

    Raises
    ------
    BadInput
        Names every tensor that is missing, unexpected or of another shape.
    """
    state, metadata = load_weights(path)
    wanted = model.state_dict()
    findings = [f"{name}: missing in the file" for name in wanted if name not in state]
    findings += [f"{name}: not a part of the model" for name in state if name not in wanted]
    findings += [
        f"{name}: shape {tuple(state[name].shape)}, the model has {tuple(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in state and state[name].shape != tensor.shape
    ]
    if findings:
        more = len(findings) - 8
        findings[8:] = [f"and {more} more"] if more > 0 else []
        findings.append(f"use the weights of a {type(model).__name__} of the same size and grid")
        raise BadInput(str(path), findings)
    model.load_state_dict(state)
    return metadata
