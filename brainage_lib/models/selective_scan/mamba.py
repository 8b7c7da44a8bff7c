"""The scan of the package mamba-ssm, where that is installed (it needs a CUDA card)."""

from __future__ import annotations

from torch import Tensor


def scan_mamba(u: Tensor, dt: Tensor, A: Tensor, B: Tensor, C: Tensor) -> tuple[Tensor, Tensor]:
    """Like :func:`~brainage_lib.models.selective_scan.reference.scan_reference`, in float32."""
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn as theirs

    inputs = (x.contiguous() for x in (u, dt, A, B, C))
    return theirs(*inputs, return_last_state=True)
