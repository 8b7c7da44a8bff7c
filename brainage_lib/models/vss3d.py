"""VSS3D, the generator's bottleneck block: a state space that scans a box along eight paths.

Structure as described for MedSegMamba (Cao et al., arXiv 2409.08307), which follows VMamba's
VSS block (Liu et al., arXiv 2401.10166) without its gate.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from brainage_lib.models.orders import eight_paths
from brainage_lib.models.selective_scan import selective_scan_fn

PATHS = 8
# Step sizes of the scan at the start, log-uniform; Mamba's own range (arXiv 2312.00752, §3.6).
STEP_RANGE = (1e-3, 1e-1)


class VSS3D(nn.Module):
    """x + SS3D(norm(x)), then x + MLP(norm(x)), each dropped for a whole scan now and then.

    Parameters
    ----------
    width : int
        Channels, d.
    states : int
        States a channel and path, N.
    block : int
        Index in the bottleneck; permutes the axes of the paths.
    orders : str
        See :func:`brainage_lib.models.orders.eight_paths`.
    dropout, drop_path : float
        In training: share of single values, and of whole branches, set to zero.
    """

    def __init__(
        self, width: int, states: int, block: int, orders: str, dropout: float, drop_path: float
    ):
        super().__init__()
        self.scan_norm = nn.LayerNorm(width)
        self.scan = SS3D(width, states, block, orders)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout), nn.Linear(width, width)
        )
        self.dropout = nn.Dropout(dropout)
        self.drop_path = drop_path

    def forward(self, x: Tensor) -> Tensor:
        """Box of tokens (n, x, y, z, width) to the same shape."""
        x = x + self._kept(self.dropout(self.scan(self.scan_norm(x))))
        return x + self._kept(self.dropout(self.mlp(self.mlp_norm(x))))

    def _kept(self, branch: Tensor) -> Tensor:
        """Stochastic depth (Huang et al., arXiv 1603.09382): scans that keep it get more of it."""
        if not self.training or self.drop_path == 0:
            return branch
        keep = 1 - self.drop_path
        mask = torch.rand(len(branch), 1, 1, 1, 1, device=branch.device) < keep
        return branch * (mask / keep)


class SS3D(nn.Module):
    """Eight selective scans through a box, each with projections of its own, and their sum."""

    def __init__(self, width: int, states: int, block: int, orders: str):
        super().__init__()
        rank = math.ceil(width / 16)
        self.block, self.orders = block, orders
        self.split = (rank, states, states)
        self.in_proj = nn.Linear(width, width, bias=False)
        self.conv = nn.Conv3d(width, width, 3, padding=1, groups=width)
        self.x_proj = nn.Parameter(_uniform(PATHS, sum(self.split), width, bound=width**-0.5))
        self.dt_proj = nn.Parameter(_uniform(PATHS, width, rank, bound=rank**-0.5))
        low, high = map(math.log, STEP_RANGE)
        step = torch.exp(low + (high - low) * torch.rand(PATHS * width))
        self.dt_bias = nn.Parameter(step + torch.log(-torch.expm1(-step)))  # softplus undone
        decays = torch.arange(1, states + 1, dtype=torch.float32)
        self.A_log = nn.Parameter(decays.log().repeat(PATHS * width, 1))
        self.D = nn.Parameter(torch.ones(PATHS * width))
        self.norm = nn.LayerNorm(width)
        self.out_proj = nn.Linear(width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Box of tokens (n, x, y, z, width) to the same shape."""
        n, *box, width = x.shape
        x = self.in_proj(x)
        # A box of tokens seen as channels is already channels_last_3d, where a depth-wise
        # convolution on the CPU is twice as fast.
        x = F.silu(self.conv(x.movedim(-1, 1))).movedim(1, -1).reshape(n, -1, width)
        order = eight_paths(tuple(box), self.block, self.orders, x.device)
        u = _Spread.apply(x, *order)
        dt, B, C = torch.einsum("nlkd,kcd->nlkc", u, self.x_proj).split(self.split, dim=-1)
        dt = torch.einsum("nlkr,kdr->nlkd", dt, self.dt_proj)
        # The scan's own layout is time before channels too, so nothing is copied here.
        y = selective_scan_fn(
            u.flatten(2).transpose(1, 2),
            dt.flatten(2).transpose(1, 2),
            -torch.exp(self.A_log),
            B.permute(0, 2, 3, 1),
            C.permute(0, 2, 3, 1),
            self.D,
            delta_bias=self.dt_bias,
            delta_softplus=True,
        )
        y = _Collect.apply(y.transpose(1, 2).reshape(n, -1, PATHS, width), *order)
        return self.out_proj(self.norm(y)).reshape(n, *box, width)


def _uniform(*shape: int, bound: float) -> Tensor:
    return (2 * torch.rand(*shape) - 1) * bound


def _spread(x: Tensor, paths: Tensor) -> Tensor:
    """Voxels (n, L, d) in the order of each path: (n, L, 8, d)."""
    n, length, width = x.shape
    return x.index_select(1, paths.t().reshape(-1)).view(n, length, PATHS, width)


def _collect(y: Tensor, places: Tensor) -> Tensor:
    """Sum over the paths (n, L, 8, d) at each voxel: (n, L, d)."""
    n, length, _, width = y.shape
    rows = places * PATHS + torch.arange(PATHS, device=y.device)[:, None]
    y = y.reshape(n, length * PATHS, width).index_select(1, rows.t().reshape(-1))
    return y.view(n, length, PATHS, width).sum(2)


class _Spread(torch.autograd.Function):
    """Each other's transpose: gathering both ways is faster than index_select's scatter."""

    @staticmethod
    def forward(ctx, x, paths, places):
        ctx.places = places
        return _spread(x, paths)

    @staticmethod
    def backward(ctx, grad):
        return _collect(grad, ctx.places), None, None


class _Collect(torch.autograd.Function):
    @staticmethod
    def forward(ctx, y, paths, places):
        ctx.paths = paths
        return _collect(y, places)

    @staticmethod
    def backward(ctx, grad):
        return _spread(grad.contiguous(), ctx.paths), None, None
