"""From the tables and folders of the 13 studies to rows of a manifest."""

from brainage_lib.data.studies.build import Built, build_manifest
from brainage_lib.data.studies.left_out import LeftOut, describe_left_out
from brainage_lib.data.studies.specification import Study, load_study

__all__ = ["Built", "LeftOut", "Study", "build_manifest", "describe_left_out", "load_study"]
