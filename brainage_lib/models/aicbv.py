"""The AICBV generator: blood volume from a T1w patch, by convolutions and a state space.

The paper's words are those of MedSegMamba (Cao et al., arXiv 2409.08307, the same group). With
one output channel that network has 84,398,721 parameters; that AICBV is this network is our
inference. Written from a table of its layers.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from brainage_lib.errors import WrongUsage
from brainage_lib.models.convolutions import Convolution, Doubled, NormReLU, Residual, normalised
from brainage_lib.models.orders import ORDERS
from brainage_lib.models.vss3d import VSS3D

BLOCKS = 9
# Three halvings, and an even box for the orders.
SIDE = 16


@dataclass(frozen=True)
class Size:
    """Widths of a generator.

    Attributes
    ----------
    channels : (4,) ints
        Of the four levels, from full resolution down.
    width, states : int
        Of the bottleneck: channels d, and states N a channel and path.
    last : int
        Channels before the head.
    dropout, drop_path : float
        In the bottleneck, while training.
    """

    channels: tuple[int, int, int, int]
    width: int
    states: int
    last: int
    dropout: float
    drop_path: float


SIZES = {
    # What MedSegMamba runs (96³ patches): needs a GPU.
    "paper": Size((32, 64, 128, 256), 1024, 64, 64, 0.1, 0.3),
    # Ours: an eleventh of it, for inference without a GPU.
    "lite": Size((16, 32, 64, 128), 256, 16, 16, 0.1, 0.1),
    # Ours: same structure, trained in two or three minutes on two CPU cores; too small and too
    # briefly trained to need regularisation.
    "demo": Size((8, 16, 32, 64), 48, 8, 8, 0.0, 0.0),
}


class AICBVGenerator(nn.Module):
    """Cerebral blood volume, in ml/100 ml, from a normalised T1w patch.

    Four encoder levels, nine VSS3D blocks at an eighth of the resolution, a decoder with skip
    connections, a linear head.

    Parameters
    ----------
    size : {"demo", "lite", "paper"}
    orders : {"hilbert+snake", "snake4"}
        How the state space walks through the box (:mod:`brainage_lib.models.orders`).
    checkpointing : bool
        In training, keep only the input of each VSS3D block and compute the block once more in
        the backward pass: less memory for a fourth more time.

    Examples
    --------
    >>> generator = AICBVGenerator("demo").eval()
    >>> generator(torch.zeros(1, 1, 32, 32, 32)).shape
    torch.Size([1, 1, 32, 32, 32])
    """

    def __init__(
        self, size: str = "demo", orders: str = "hilbert+snake", checkpointing: bool = False
    ):
        super().__init__()
        if size not in SIZES:
            raise WrongUsage(f"unknown generator size {size!r}; choose one of {', '.join(SIZES)}")
        if orders not in ORDERS:
            raise WrongUsage(f"unknown orders {orders!r}; choose one of {', '.join(ORDERS)}")
        s = SIZES[size]
        self.size, self.orders, self.checkpointing = size, orders, checkpointing
        c1, c2, c3, c4 = s.channels
        self.encoder = nn.ModuleList(
            [Residual(1, c1), Residual(c1, c2), Residual(c2, c3), Residual(c3, c4)]
        )
        self.bottom_norm = NormReLU(c4)
        self.expand = Convolution(c4, s.width)
        # Later blocks are dropped more often, as in stochastic depth.
        self.blocks = nn.ModuleList(
            VSS3D(s.width, s.states, i, orders, s.dropout, s.drop_path * i / (BLOCKS - 1))
            for i in range(BLOCKS)
        )
        self.norm = nn.LayerNorm(s.width)
        self.shrink = nn.Sequential(*normalised(s.width, c4), *normalised(c4, c4))
        self.up = nn.ModuleList([Doubled(c4, c3), Doubled(c3, c2), Doubled(c2, c1)])
        self.decoder = nn.ModuleList(
            [Residual(2 * c3, c3), Residual(2 * c2, c2), Residual(2 * c1, s.last)]
        )
        self.head = nn.Conv3d(s.last, 1, 1)
        # Channels last: a sixth faster on the CPU, and the bottleneck's own layout.
        self.to(memory_format=torch.channels_last_3d)

    def start_at(self, cbv: float) -> AICBVGenerator:
        """Set the head's bias, so that training begins from a sensible guess.

        Parameters
        ----------
        cbv : float
            ml/100 ml; the mean over the brain voxels of the training scans.

        Returns
        -------
        AICBVGenerator
            The same object.
        """
        with torch.no_grad():
            self.head.bias.fill_(float(cbv))
        return self

    def forward(self, x: Tensor) -> Tensor:
        """CBV (n, 1, x, y, z) of patches (n, 1, x, y, z), sides multiples of 16."""
        if (
            x.ndim != 5
            or x.shape[1] != 1
            or any(side < SIDE or side % SIDE for side in x.shape[2:])
        ):
            raise WrongUsage(
                f"the generator reads (n, 1, x, y, z) with sides that are multiples of {SIDE}; "
                f"got {tuple(x.shape)}"
            )
        skips = []
        for level, residual in enumerate(self.encoder):
            x = residual(F.max_pool3d(x, 2) if level else x)
            skips.append(x)
        x = self.expand(self.bottom_norm(skips.pop()))
        x = x.movedim(1, -1).contiguous()
        again = self.checkpointing and torch.is_grad_enabled()
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if again else block(x)
        x = self.shrink(self.norm(x).movedim(-1, 1))
        for up, residual in zip(self.up, self.decoder, strict=True):
            x = residual(torch.cat([up(x), skips.pop()], dim=1))
        return self.head(x)
