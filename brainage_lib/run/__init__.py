"""A run is a folder: its profile, its run card, what in it is up to date, and progress."""

from brainage_lib.run.chapter import Chapter, open_chapter
from brainage_lib.run.folder import Run, code_digest, locate, progress, start_run
from brainage_lib.run.gpus import count_gpus
from brainage_lib.run.networks import (
    NetworkKey,
    ShuffledKey,
    looked_at,
    plan_networks,
    plan_shuffled,
    trained_pairs,
)
from brainage_lib.run.profile import (
    SHIPPED,
    GeneratorSettings,
    Profile,
    QualitySettings,
    load_profile,
    recipe_reads,
)
from brainage_lib.run.workers import scatter

__all__ = [
    "SHIPPED",
    "Chapter",
    "GeneratorSettings",
    "NetworkKey",
    "Profile",
    "QualitySettings",
    "Run",
    "ShuffledKey",
    "code_digest",
    "count_gpus",
    "load_profile",
    "locate",
    "looked_at",
    "open_chapter",
    "plan_networks",
    "plan_shuffled",
    "progress",
    "recipe_reads",
    "scatter",
    "start_run",
    "trained_pairs",
]
