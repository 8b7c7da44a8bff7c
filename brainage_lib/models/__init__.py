"""Networks that read ages, the AICBV generator with its selective scan, and their weights."""

from brainage_lib.models.aicbv import AICBVGenerator
from brainage_lib.models.fcn import FCN
from brainage_lib.models.networks import NETWORKS, make_network, network_facts, open_network
from brainage_lib.models.selective_scan import scan_backend, selective_scan_fn
from brainage_lib.models.synthesis import synthesise
from brainage_lib.models.trained import LARGEST_CBV, TrainedGenerator, open_generator
from brainage_lib.models.vgg8 import VGG8
from brainage_lib.models.weights import count_parameters, load_weights, restore, save_weights

__all__ = [
    "FCN",
    "LARGEST_CBV",
    "NETWORKS",
    "VGG8",
    "AICBVGenerator",
    "TrainedGenerator",
    "count_parameters",
    "load_weights",
    "make_network",
    "network_facts",
    "open_generator",
    "open_network",
    "restore",
    "save_weights",
    "scan_backend",
    "selective_scan_fn",
    "synthesise",
]
