"""The recurrence as it is written, one step after the other, in torch."""

from __future__ import annotations

import torch
from torch import Tensor


def scan_reference(u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    """y_t = C_t h_t with h_t = exp(dt_t A) h_{t-1} + dt_t u_t B_t and h_{-1} = 0.

    Any precision and device; slow, and it keeps every state for the backward pass.

    Parameters
    ----------
    u, dt : (batch, D, L) tensors
    A : (D, N) tensor
    B, C : (batch, G, N, L) tensors
        Channel d uses group d // (D // G).

    Returns
    -------
    y : (batch, D, L) tensor
    last : (batch, D, N) tensor
        The state after the last step, without gradient.
    """
    per_group = u.shape[1] // B.shape[1]
    B = B.repeat_interleave(per_group, dim=1)
    C = C.repeat_interleave(per_group, dim=1)
    decay = torch.exp(torch.einsum("bdl,dn->bdnl", dt, A))
    drive = torch.einsum("bdl,bdnl->bdnl", dt * u, B)
    h = torch.zeros_like(decay[..., 0])
    out = []
    # unbind, because slicing inside the loop makes autograd allocate a whole gradient a step.
    for a, x, c in zip(decay.unbind(-1), drive.unbind(-1), C.unbind(-1), strict=True):
        h = a * h + x
        out.append((h * c).sum(-1))
    return torch.stack(out, dim=-1), h.detach()
