"""Two processes that train one network: steps, scans and gradients are those of one."""

from __future__ import annotations

import importlib
import itertools
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from torch import nn

from brainage_lib.errors import UserError, WrongUsage
from brainage_lib.train import TrainSettings, fit_network, predict_network
from brainage_lib.train.batches import SeededOrder, Steps

HERE = Path(__file__).parent
ALONE = TrainSettings(epochs=3, batch=4, learning_rate=1e-2)
SHARED = replace(ALONE, devices=2)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Small networks and scans, under a name that other processes can import; a core for each."""
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    return importlib.import_module("test_fit")


def fit(small, folder, settings, make=None, train=None, **keywords):
    return fit_network(
        make or small.Frozen, train or small.cohort(13, 0), small.cohort(5, 1), settings,
        seed=3, folder=folder, device="cpu", **keywords,
    )  # fmt: skip


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix != ".json"}


@pytest.mark.parametrize(("n", "batch", "of"), [(13, 4, 2), (12, 4, 2), (13, 6, 3), (2, 4, 4)])
def test_processes_share_each_step_of_one_and_no_scan_counts_twice(n, batch, of):
    order = SeededOrder(n, 1)
    whole = list(Steps(order, batch))
    shares = [Steps(order, batch, rank=rank, of=of) for rank in range(of)]
    parts = [list(share) for share in shares]
    assert {len(part) for part in parts} == {len(whole)} == {len(share) for share in shares}
    for step, rows in enumerate(whole):
        assert shares[0].whole(step) == rows
        own = [
            part[step][: share.counts(step)[0]] for part, share in zip(parts, shares, strict=True)
        ]
        assert sorted(itertools.chain(*own)) == sorted(rows)
        assert {share.counts(step)[1] for share in shares} == {len(rows)}
        # None is without scans, which no normalisation could bear.
        assert all(part[step] for part in parts)


def test_a_share_of_one_scan_that_cannot_be_normalised_is_refused(tmp_path, small):
    def one_voxel():
        return nn.Sequential(
            nn.AdaptiveAvgPool3d(1), nn.BatchNorm3d(1), nn.Flatten(), nn.Linear(1, 1), nn.Flatten(0)
        )

    settings = replace(ALONE, batch=1)
    with pytest.raises(WrongUsage, match="give batch: 2 or more"):
        fit(small, tmp_path, settings, one_voxel)


def moments(folder):
    """What Adam remembers of the gradients: their means, and means of their squares."""
    (optimiser,) = torch.load(folder / "last.ckpt", weights_only=True)["optimizer_states"]
    return {
        (number, name): state[name]
        for number, state in optimiser["state"].items()
        for name in ("exp_avg", "exp_avg_sq", "step")
    }


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})

if __name__ == "__main__":
    import psutil
    import test_fit
    from test_together import SHARED, fit

    os.sched_getaffinity = lambda _: {{0, 1}}

    def report(epoch, *_):
        if epoch == 2:
            print(*(child.pid for child in psutil.Process().children(recursive=True)), flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

    fit(test_fit, {folder!r}, SHARED, report=report)
"""


@pytest.mark.slow
def test_two_processes_take_the_steps_of_one_and_go_on_after_a_kill(tmp_path, small):
    alone = fit(small, tmp_path / "alone", ALONE)
    shared = fit(small, tmp_path / "shared", SHARED)
    np.testing.assert_allclose(
        [row[1:] for row in shared.log], [row[1:] for row in alone.log], rtol=1e-5
    )
    for name, tensor in alone.model.state_dict().items():
        torch.testing.assert_close(
            shared.model.state_dict()[name], tensor, rtol=1e-4, atol=1e-6, msg=name
        )

    script = tmp_path / "killed.py"
    script.write_text(KILLED.format(tests=str(HERE), folder=str(tmp_path / "cut")))
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run(
        [sys.executable, script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    others = [
        psutil.Process(int(pid)) for pid in done.stdout.split() if psutil.pid_exists(int(pid))
    ]
    assert psutil.wait_procs(others, timeout=20)[1] == []
    assert done.stdout.split()

    of_two = moments(tmp_path / "cut")
    (steps,) = {int(step) for (_, name), step in of_two.items() if name == "step"}
    # Where the one that is killed hears of an epoch late, the others are an epoch ahead.
    assert steps in (2 * 4, 3 * 4)
    with pytest.raises(small.Killed):
        fit(small, tmp_path / "alone-cut", ALONE, report=small.kill_after(steps // 4))
    of_one = moments(tmp_path / "alone-cut")
    assert of_one.keys() == of_two.keys()
    for key, moment in of_one.items():
        torch.testing.assert_close(of_two[key], moment, rtol=1e-4, atol=1e-6, msg=str(key))

    seen = []
    fit(small, tmp_path / "cut", SHARED, report=lambda *row: seen.append(row[0]))
    assert seen == list(range(steps // 4 + 1, 4))
    assert contents(tmp_path / "cut") == contents(tmp_path / "shared")


@pytest.mark.slow
def test_averaged_weights_survive_the_end_of_one_process(tmp_path, small, capfd):
    settings = replace(
        SHARED, averaging="ema", schedule="one-cycle", augmentation="place-and-contrast"
    )

    def kill_one(epoch, *_):
        if epoch == 2:
            psutil.Process().children()[-1].kill()

    with pytest.raises(UserError, match="was ended from outside"):
        fit(small, tmp_path, settings, small.Small, report=kill_one)
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]
    seen = []
    result = fit(small, tmp_path, settings, small.Small, report=lambda *row: seen.append(row[0]))
    assert seen == [3]
    volumes, ages = small.cohort(5, 1)
    errors = np.abs(predict_network(result.model, volumes) - ages)
    # Five scans over two processes: each counts once.
    assert result.validation_mae == pytest.approx(errors.mean(), rel=1e-5)
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_the_scans_of_a_broken_step_are_named_by_whichever_process_saw_them(tmp_path, small):
    volumes, ages = small.cohort(13, 0)
    order = SeededOrder(13, 3)
    volumes[list(order)[5]] = np.nan  # the second scan of the second step: the second process's
    with pytest.raises(UserError) as caught:
        fit(small, tmp_path, SHARED, train=(small.Named(volumes), ages))
    named = ", ".join(f"scan-{row}" for row in list(order)[4:8])
    assert f"since step 2, whose scans are {named};" in str(caught.value)
