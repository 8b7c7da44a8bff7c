"""Every table that leaves a chapter: its columns, types, units and checks."""

from brainage_lib.tables.choose import choose
from brainage_lib.tables.files import read_table, write_table
from brainage_lib.tables.manifest import read_manifest
from brainage_lib.tables.schemas import (
    AGE_GROUPS,
    AICBV_SCORES,
    ANOVA,
    COEFFICIENTS,
    DECADES,
    LEDGER,
    MANIFEST,
    MODELS,
    PREDICTIONS,
    PROJECTS,
    QUALITY,
    SPLIT_SCORES,
    SPLITS,
    TABLE1,
    TABLE2,
    TABLE3,
    VERDICTS,
    age_group,
    decade,
)

__all__ = [
    "AGE_GROUPS",
    "AICBV_SCORES",
    "ANOVA",
    "COEFFICIENTS",
    "DECADES",
    "LEDGER",
    "MANIFEST",
    "MODELS",
    "PREDICTIONS",
    "PROJECTS",
    "QUALITY",
    "SPLITS",
    "SPLIT_SCORES",
    "TABLE1",
    "TABLE2",
    "TABLE3",
    "VERDICTS",
    "age_group",
    "choose",
    "decade",
    "read_manifest",
    "read_table",
    "write_table",
]
