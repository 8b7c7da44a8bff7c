"""Training of the networks: the paper's, exactly, on volumes that a run holds."""

from brainage_lib.train.fit import FitResult, fit_network
from brainage_lib.train.generator import GeneratorResult, GeneratorTraining, fit_generator
from brainage_lib.train.predict import network_features, predict_network
from brainage_lib.train.settings import Recipe, TrainSettings, load_recipe

__all__ = [
    "FitResult",
    "GeneratorResult",
    "GeneratorTraining",
    "Recipe",
    "TrainSettings",
    "fit_generator",
    "fit_network",
    "load_recipe",
    "network_features",
    "predict_network",
]
