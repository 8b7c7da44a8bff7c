"""Networks: VGG8 and the AICBV generator with its selective scan; their weights in and out."""

from brainage_lib.models.aicbv import AICBVGenerator
from brainage_lib.models.selective_scan import selective_scan_fn
from brainage_lib.models.synthesis import synthesise
from brainage_lib.models.vgg8 import VGG8
from brainage_lib.models.weights import count_parameters, load_weights, restore, save_weights

__all__ = [
    "VGG8",
    "AICBVGenerator",
    "count_parameters",
    "load_weights",
    "restore",
    "save_weights",
    "selective_scan_fn",
    "synthesise",
]
