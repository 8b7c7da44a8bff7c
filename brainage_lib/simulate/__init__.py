"""Anatomy, ageing, vessels, scanner and signal: a simulated lifespan cohort with its truth."""

from brainage_lib.simulate.cohort import simulate_cohort, training_people
from brainage_lib.simulate.evidence import age_effect, age_voxels
from brainage_lib.simulate.scan import SimulatedScan, open_contrast, open_scan
from brainage_lib.simulate.uri import ScanSpec, parse
from brainage_lib.simulate.vessels import vein_corridor

__all__ = [
    "ScanSpec",
    "SimulatedScan",
    "age_effect",
    "age_voxels",
    "open_contrast",
    "open_scan",
    "parse",
    "simulate_cohort",
    "training_people",
    "vein_corridor",
]
