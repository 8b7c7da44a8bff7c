"""A cohort: its manifest, its volumes, its splits and leaks."""

from brainage_lib.data.batch import check_scans
from brainage_lib.data.cohort import (
    open_scan,
    place_scan,
    read_aliases,
    read_cohort,
    write_manifest,
)
from brainage_lib.data.gate import find_copies, read_leaks, refuse_leaks, write_splits
from brainage_lib.data.inputs import network_inputs, scaled
from brainage_lib.data.look import across_ages, least_like_the_template, scan_steps
from brainage_lib.data.native import carry_back
from brainage_lib.data.reference import read_reference, write_reference
from brainage_lib.data.splits import (
    leaks,
    paper_split,
    sound_split,
)
from brainage_lib.data.store import Rows, VolumeStore, VolumeWriter
from brainage_lib.data.strata import age_bins, age_edges, stratify
from brainage_lib.data.summary import (
    count_diagnoses,
    count_people,
    describe_projects,
    list_repeats,
)
from brainage_lib.data.volumes import kept, prepare_volumes, put_aside

__all__ = [
    "Rows",
    "VolumeStore",
    "VolumeWriter",
    "across_ages",
    "age_bins",
    "age_edges",
    "carry_back",
    "check_scans",
    "count_diagnoses",
    "count_people",
    "describe_projects",
    "find_copies",
    "kept",
    "leaks",
    "least_like_the_template",
    "list_repeats",
    "network_inputs",
    "open_scan",
    "paper_split",
    "place_scan",
    "prepare_volumes",
    "put_aside",
    "read_aliases",
    "read_cohort",
    "read_leaks",
    "read_reference",
    "refuse_leaks",
    "scaled",
    "scan_steps",
    "sound_split",
    "stratify",
    "write_manifest",
    "write_reference",
    "write_splits",
]
