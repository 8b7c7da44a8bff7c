"""From one scan to an age with its interval, by the networks of a run."""

from brainage_lib.predict.example import Example, choose_example
from brainage_lib.predict.prediction import BATCH_COLUMNS, Prediction
from brainage_lib.predict.scan import predict_scan

__all__ = ["BATCH_COLUMNS", "Example", "Prediction", "choose_example", "predict_scan"]
