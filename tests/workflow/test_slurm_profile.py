"""The profile for Slurm speaks of rules and settings that there are."""

from __future__ import annotations

import re

import pytest
import yaml


@pytest.fixture(scope="module")
def profile(root):
    return yaml.safe_load((root / "workflow" / "slurm" / "config.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def rules(root):
    texts = [(root / "workflow" / name).read_text(encoding="utf-8")
             for name in ("Snakefile", "predict.smk")]  # fmt: skip
    named = set(re.findall(r"^ *rule (\w+):", "\n".join(texts), flags=re.MULTILINE))
    chapters = {path.stem for path in (root / "notebooks").glob("[0-9]*.py")}
    return named | chapters


def test_every_rule_that_it_names_is_a_rule(profile, rules):
    assert set(profile["set-resources"]) <= rules
    assert set(profile["set-threads"]) <= rules
    assert {name.strip() for name in profile["slurm-array-jobs"].split(",")} <= rules


def test_every_rule_has_memory_and_time(profile):
    for resources in [profile["default-resources"], *profile["set-resources"].values()]:
        assert resources["mem_mb"] > 0
        assert resources["runtime"] > 0


def test_what_trains_asks_for_a_gpu(profile):
    asking = {name for name, value in profile["set-resources"].items() if value.get("gpu")}
    assert asking == {"train_generator", "synthesise_part", "train_network"}
    assert all(profile["set-resources"][name]["slurm_partition"] == "gpu" for name in asking)


def test_a_job_that_fails_is_sent_again_and_stops_no_other(profile):
    assert profile["retries"] >= 1
    assert profile["keep-going"]


def test_the_executor_is_pinned(root):
    pins = (root / "constraints.txt").read_text(encoding="utf-8")
    assert "snakemake-executor-plugin-slurm==" in pins
