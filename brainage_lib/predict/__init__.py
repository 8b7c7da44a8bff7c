"""From one scan, or a table of scans, to ages with their intervals, by the networks of a run.

The room can be called: ``brainage_lib.predict("T1w.nii.gz", age=63.2, sex="F")``
is `predict_file`.
"""

import sys
from types import ModuleType

from brainage_lib.predict.disturbed import stability
from brainage_lib.predict.example import Example, choose_example
from brainage_lib.predict.file import predict_file
from brainage_lib.predict.model import Model, find_model
from brainage_lib.predict.pack import check_pack, pack_model
from brainage_lib.predict.prediction import BATCH_COLUMNS, Prediction
from brainage_lib.predict.scan import attribution, look_at_scan, predict_scan

__all__ = [
    "BATCH_COLUMNS",
    "Example",
    "Model",
    "Prediction",
    "attribution",
    "check_pack",
    "choose_example",
    "find_model",
    "look_at_scan",
    "pack_model",
    "predict_file",
    "predict_scan",
    "stability",
]


class _CallableRoom(ModuleType):
    """`brainage_lib.predict` is a room and, as people expect it, a function."""

    def __call__(self, *arguments, **keywords) -> Prediction:
        return predict_file(*arguments, **keywords)


sys.modules[__name__].__class__ = _CallableRoom
