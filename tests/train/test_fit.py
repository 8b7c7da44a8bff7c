from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from brainage_lib.errors import BadInput, UserError
from brainage_lib.models import VGG8, load_weights
from brainage_lib.train import TrainSettings, fit_network, predict_network
from brainage_lib.train import fit as training
from brainage_lib.train.batches import SeededOrder
from brainage_lib.train.loop import EMA_DECAY, AgeTraining

QUICK = TrainSettings(epochs=4, learning_rate=1e-3)


class Small(nn.Module):
    """Convolution, normalisation and dropout: all that keeps state or draws numbers."""

    def __init__(self, dropout=0.2):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv3d(1, 4, 3, padding=1), nn.BatchNorm3d(4), nn.ReLU(), nn.Dropout(dropout),
            nn.AdaptiveAvgPool3d(2), nn.Flatten(), nn.Linear(32, 1),
        )  # fmt: skip

    def forward(self, x):
        return self.layers(x).squeeze(1)


class Frozen(Small):
    """Normalised by what is stored, so that no scan's gradient depends on another scan."""

    def __init__(self):
        super().__init__(dropout=0)
        self.train()

    def train(self, mode=True):
        super().train(mode)
        self.layers[1].eval()
        return self


def cohort(n, seed, side=8):
    """Volumes whose dark core grows with age."""
    rng = np.random.default_rng(seed)
    ages = rng.uniform(20, 80, n)
    x = np.stack(np.meshgrid(*[np.linspace(-1, 1, side)] * 3, indexing="ij"))
    radius = np.sqrt((x**2).sum(0))
    volumes = np.stack([1 / (1 + np.exp(-(radius - a / 80) * 20)) for a in ages])
    volumes += rng.normal(0, 0.02, volumes.shape)
    return volumes.astype(np.float16), ages


class Killed(Exception):
    pass


def kill_after(epoch):
    def report(done, *_):
        if done == epoch:
            raise Killed

    return report


def contents(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir() if p.name != "durations.json"}


def fit(folder, settings=QUICK, make=Small, **keywords):
    return fit_network(
        make, cohort(13, 0), cohort(7, 1), settings, seed=3, folder=folder, **keywords
    )


def test_equal_calls_give_equal_bytes(tmp_path):
    fit(tmp_path / "a")
    torch.rand(5)
    fit(tmp_path / "b")
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert set(contents(tmp_path / "a")) == {"log.csv", "weights.safetensors"}


@pytest.mark.parametrize("epoch", [1, 3, 4])
def test_an_interrupted_training_goes_on_to_the_same_bytes(tmp_path, epoch):
    fit(tmp_path / "whole")
    with pytest.raises(Killed):
        fit(tmp_path / "cut", report=kill_after(epoch))
    assert set(contents(tmp_path / "cut")) == {"last.ckpt"}
    seen = []
    fit(tmp_path / "cut", report=lambda *row: seen.append(row[0]))
    assert seen == list(range(epoch + 1, 5))
    assert contents(tmp_path / "whole") == contents(tmp_path / "cut")


class Dying:
    """Volumes that end the training at the given access."""

    def __init__(self, volumes, at):
        self.volumes, self.left = volumes, at

    def __len__(self):
        return len(self.volumes)

    def __getitem__(self, row):
        self.left -= 1
        if self.left == 0:
            raise Killed
        return self.volumes[row]


def test_a_training_killed_within_an_epoch_repeats_that_epoch_only(tmp_path):
    fit(tmp_path / "whole")
    volumes, ages = cohort(13, 0)
    with pytest.raises(Killed):
        fit_network(
            Small, (Dying(volumes, 13 * 2 + 6), ages), cohort(7, 1), QUICK, 3, tmp_path / "cut"
        )
    seen = []
    fit(tmp_path / "cut", report=lambda *row: seen.append(row[0]))
    assert seen == [3, 4]
    assert contents(tmp_path / "whole") == contents(tmp_path / "cut")


def test_patience_is_not_forgotten_by_an_interruption(tmp_path):
    hopeless = TrainSettings(epochs=30, patience=2, learning_rate=1e-12)
    fit(tmp_path / "whole", hopeless)
    with pytest.raises(Killed):
        fit(tmp_path / "cut", hopeless, report=kill_after(2))
    fit(tmp_path / "cut", hopeless)
    assert contents(tmp_path / "whole") == contents(tmp_path / "cut")


@pytest.mark.parametrize("change", [{"seed": 4}, {"identity": "other volumes"}])
def test_a_checkpoint_of_another_training_is_not_continued(tmp_path, change):
    arguments = {"seed": 3, "identity": "", **change}
    for folder, first in (("mixed", {"seed": 3}), ("clean", None)):
        if first:
            with pytest.raises(Killed):
                fit(tmp_path / folder, report=kill_after(2))
        fit_network(
            Small, cohort(13, 0), cohort(7, 1), QUICK, folder=tmp_path / folder, **arguments
        )
    assert contents(tmp_path / "mixed") == contents(tmp_path / "clean")


def test_a_checkpoint_cut_short_begins_anew(tmp_path):
    fit(tmp_path / "whole")
    with pytest.raises(Killed):
        fit(tmp_path / "cut", report=kill_after(2))
    last = tmp_path / "cut" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    fit(tmp_path / "cut")
    assert contents(tmp_path / "whole") == contents(tmp_path / "cut")


def test_a_checkpoint_cannot_run_code(tmp_path):
    class Evil:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "touched",))

    (tmp_path / "run").mkdir()
    torch.save({"callbacks": {"brainage": Evil()}}, tmp_path / "run" / "last.ckpt")
    fit(tmp_path / "run")
    assert not (tmp_path / "touched").exists()


def plain_training(make, train, validation, settings, seed):
    """The paper's training as one would write it without any library."""
    from brainage_lib.train.batches import SeededOrder

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = make()
    optimiser = torch.optim.Adam(model.parameters(), lr=settings.learning_rate)
    tensors = [(torch.tensor(v, dtype=torch.float32)[:, None], torch.tensor(a).float())
               for v, a in (train, validation)]  # fmt: skip
    (x, y), (vx, vy) = tensors
    rows, best, best_state = [], np.inf, None
    for epoch in range(settings.epochs):
        order = SeededOrder(len(y), seed)
        order.set_epoch(epoch)
        chosen = list(order)
        model.train()
        errors = []
        for first in range(0, len(chosen), settings.batch):
            batch = chosen[first : first + settings.batch]
            loss = (model(x[batch]) - y[batch]).abs()
            errors += loss.tolist()
            optimiser.zero_grad()
            loss.mean().backward()
            optimiser.step()
        model.eval()
        with torch.no_grad():
            mae = float((model(vx) - vy).abs().mean())
        if mae < best:
            best, best_state = mae, {k: v.clone() for k, v in model.state_dict().items()}
        rows.append((np.mean(errors), mae))
    return rows, best_state


def test_training_is_the_papers_written_out_by_hand(tmp_path):
    def make():
        return VGG8((32, 32, 32))

    train, validation = cohort(8, 0, side=32), cohort(3, 1, side=32)
    settings = TrainSettings(epochs=2)
    result = fit_network(make, train, validation, settings, seed=5, folder=tmp_path)
    rows, state = plain_training(make, train, validation, settings, seed=5)
    np.testing.assert_allclose([row[1:] for row in result.log], rows, rtol=1e-4)
    by_hand = make()
    by_hand.load_state_dict(state)
    np.testing.assert_allclose(
        predict_network(result.model, validation[0]),
        predict_network(by_hand, validation[0]),
        rtol=1e-3,
    )


def test_best_weights_are_restored_and_written(tmp_path):
    result = fit(tmp_path, TrainSettings(epochs=6, learning_rate=3e-2))
    maes = [row.validation_mae for row in result.log]
    assert result.best_epoch == 1 + int(np.argmin(maes)) < len(maes)
    volumes, ages = cohort(7, 1)
    predicted = predict_network(result.model, volumes)
    assert np.abs(predicted - ages).mean() == pytest.approx(min(maes), rel=1e-5)
    state, metadata = load_weights(tmp_path / "weights.safetensors")
    assert metadata["best_epoch"] == str(result.best_epoch)
    for name, tensor in result.model.state_dict().items():
        assert torch.equal(tensor, state[name])


def test_training_stops_when_patience_is_over(tmp_path):
    result = fit(tmp_path, TrainSettings(epochs=30, patience=3, learning_rate=1e-12))
    assert len(result.log) == result.best_epoch + 3
    with open(tmp_path / "log.csv") as stream:
        assert [int(row["epoch"]) for row in csv.DictReader(stream)] == list(
            range(1, len(result.log) + 1)
        )
    assert len(json.loads((tmp_path / "durations.json").read_text())["seconds_per_epoch"]) == len(
        result.log
    )


def test_what_the_volumes_say_is_learned(tmp_path):
    train, validation = cohort(60, 0), cohort(20, 1)
    result = fit_network(
        Small, train, validation, TrainSettings(epochs=40, learning_rate=2e-2), 0, tmp_path
    )
    guessing = np.abs(validation[1] - np.median(train[1])).mean()
    assert result.validation_mae < guessing / 3


def test_every_scan_is_seen_in_each_epoch_in_another_order(tmp_path):
    volumes, ages = cohort(12, 0)
    asked = []

    class Watched(Dying):
        def __getitem__(self, row):
            asked.append(row)
            return self.volumes[row]

    fit_network(Small, (Watched(volumes, 0), ages), cohort(7, 1), QUICK, 3, tmp_path)
    orders = np.array(asked).reshape(QUICK.epochs, 12)
    assert (np.sort(orders) == np.arange(12)).all()
    assert len(np.unique(orders, axis=0)) == QUICK.epochs


def test_a_last_batch_of_one_is_left_out_only_where_normalisation_needs_more(tmp_path):
    class OneVoxel(nn.Module):
        def __init__(self):
            super().__init__()
            self.pool = nn.AdaptiveAvgPool3d(1)
            self.norm = nn.BatchNorm3d(1)
            self.last = nn.Linear(1, 1)

        def forward(self, x):
            return self.last(self.norm(self.pool(x)).flatten(1)).squeeze(1)

    result = fit_network(
        OneVoxel, cohort(13, 0), cohort(7, 1), TrainSettings(epochs=1), 0, tmp_path
    )
    assert int(result.model.norm.num_batches_tracked) == 4
    result = fit(tmp_path / "small", TrainSettings(epochs=1))
    assert int(result.model.layers[1].num_batches_tracked) == 5


def test_errors_that_are_no_numbers_end_the_training(tmp_path):
    volumes, ages = cohort(7, 0)
    volumes[2] = np.nan
    with pytest.raises(UserError, match=r"epoch 1.*no longer numbers since step"):
        fit_network(Small, (volumes, ages), cohort(7, 1), QUICK, 3, tmp_path)


class Named(list):
    """Volumes that know whose they are, as a store's do."""

    def __init__(self, volumes):
        super().__init__(volumes)
        self.scan_ids = [f"scan-{row}" for row in range(len(volumes))]


@pytest.mark.parametrize("broken", [0, 4, 6])
def test_the_scans_of_the_step_that_broke_are_named(tmp_path, broken):
    volumes, ages = cohort(7, 0)
    volumes[broken] = np.nan
    with pytest.raises(UserError) as caught:
        fit_network(Small, (Named(volumes), ages), cohort(7, 1), QUICK, 3, tmp_path)
    order = SeededOrder(7, 3)
    batches = [list(order)[first : first + 3] for first in (0, 3, 6)]
    (rows,) = [rows for rows in batches if broken in rows]
    named = ", ".join(f"scan-{row}" for row in rows)
    assert f"since step {batches.index(rows) + 1}, whose scans are {named};" in str(caught.value)
    assert not (tmp_path / "last.ckpt").exists()


def test_a_full_disk_leaves_the_last_good_checkpoint(tmp_path):
    """A file that may not grow is what a full disk looks like to a process."""
    import resource

    fit(tmp_path / "whole")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(epoch, *_):
        if epoch == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))

    try:
        with pytest.raises(UserError, match=r"epoch 3 could not be written.*epoch 2 is whole"):
            fit(tmp_path / "full", report=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert set(contents(tmp_path / "full")) == {"last.ckpt"}
    seen = []
    fit(tmp_path / "full", report=lambda *row: seen.append(row[0]))
    assert seen == [3, 4]
    assert contents(tmp_path / "whole") == contents(tmp_path / "full")


KILLED = """
import os, signal, sys
sys.path.insert(0, {tests!r})
from test_fit import fit

def report(epoch, *_):
    if epoch == 2:
        os.kill(os.getpid(), signal.SIGKILL)

fit({folder!r}, report=report)
"""


def test_a_training_killed_outright_goes_on_to_the_same_bytes(tmp_path):
    fit(tmp_path / "whole")
    code = KILLED.format(tests=str(Path(__file__).parent), folder=str(tmp_path / "cut"))
    # The same number of threads, which decides the order of sums.
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    done = subprocess.run([sys.executable, "-c", code], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    fit(tmp_path / "cut")
    assert contents(tmp_path / "whole") == contents(tmp_path / "cut")


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_a_training_for_speed_learns_nearly_the_same(tmp_path, precision):
    exact = fit(tmp_path / "float32")
    quick = fit(tmp_path / precision, replace(QUICK, precision=precision))
    assert quick.validation_mae == pytest.approx(exact.validation_mae, rel=0.05)
    # A CPU has no TF32; bf16 rounds there as on a GPU.
    same = contents(tmp_path / "float32")["log.csv"] == contents(tmp_path / precision)["log.csv"]
    assert same == (precision == "tf32")


def test_the_share_of_time_spent_waiting_is_reported(tmp_path):
    class Slow(list):
        def __getitem__(self, row):
            time.sleep(0.01)
            return super().__getitem__(row)

    volumes, ages = cohort(13, 0)
    shares = {}
    for kind in (list, Slow):
        rows = []
        fit_network(
            Small, (kind(volumes), ages), cohort(7, 1), QUICK, 3, tmp_path / kind.__name__,
            report=lambda *row, rows=rows: rows.append(row[4]),
        )  # fmt: skip
        shares[kind] = rows
    assert all(0 <= share <= 1 for rows in shares.values() for share in rows)
    assert np.median(shares[Slow]) > np.median(shares[list])


@pytest.mark.parametrize(
    ("volumes", "ages", "said"),
    [
        ([], [], "no scans"),
        (np.zeros((2, 8, 8, 8)), [40.0], "2 volumes, but ages of shape"),
        (np.zeros((2, 8, 8, 8)), [40.0, np.nan], r"ages of rows \[1\]"),
    ],
)
def test_scans_that_do_not_fit_are_named(tmp_path, volumes, ages, said):
    with pytest.raises(BadInput, match=said):
        fit_network(Small, (volumes, ages), cohort(7, 1), QUICK, 3, tmp_path)


def test_nothing_is_said_and_nothing_is_left_changed(tmp_path, capfd, recwarn):
    torch.manual_seed(1)
    before = torch.get_rng_state()
    fit(tmp_path)
    assert torch.equal(before, torch.get_rng_state())
    assert not torch.are_deterministic_algorithms_enabled()
    assert capfd.readouterr() == ("", "")
    assert [str(w.message) for w in recwarn] == []


def test_an_interruption_from_the_keyboard_stays_one(tmp_path):
    import signal

    def interrupt(*row):
        raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, report=interrupt)
    assert signal.getsignal(signal.SIGINT) is handler


def test_the_room_loads_no_tables():
    code = "import sys, brainage_lib.train; sys.exit('pandas' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


AVERAGED = TrainSettings(
    epochs=4, batch=4, learning_rate=1e-2, optimiser="adamw", schedule="one-cycle",
    augmentation="place-and-contrast", averaging="ema",
)  # fmt: skip


@pytest.mark.parametrize("epoch", [1, 3])
def test_an_averaged_training_goes_on_to_the_same_bytes(tmp_path, epoch):
    fit(tmp_path / "whole", AVERAGED)
    with pytest.raises(Killed):
        fit(tmp_path / "cut", AVERAGED, report=kill_after(epoch))
    seen = []
    fit(tmp_path / "cut", AVERAGED, report=lambda *row: seen.append(row[0]))
    assert seen == list(range(epoch + 1, 5))
    assert contents(tmp_path / "whole") == contents(tmp_path / "cut")


def test_averaged_weights_are_kept_from_the_end_and_never_stopped(tmp_path):
    settings = replace(AVERAGED, epochs=6, patience=1, learning_rate=1e-9)
    result = fit(tmp_path, settings)
    assert len(result.log) == result.best_epoch == 6


def test_what_is_kept_is_the_average_with_statistics_of_its_own(tmp_path, monkeypatch):
    settings = replace(AVERAGED, epochs=2, augmentation="none")
    steps = []

    class Watched(AgeTraining):
        def on_train_batch_end(self, *arguments):
            super().on_train_batch_end(*arguments)
            steps.append({n: p.detach().clone() for n, p in self.network.named_parameters()})

    monkeypatch.setattr(training, "AgeTraining", Watched)
    result = fit(tmp_path, settings)
    expected = steps[0]
    for step in steps[1:]:
        expected = {n: EMA_DECAY * expected[n] + (1 - EMA_DECAY) * step[n] for n in expected}
    for name, parameter in result.model.named_parameters():
        torch.testing.assert_close(parameter, expected[name], msg=name)
    volumes, _ = cohort(13, 0)
    with torch.no_grad():
        seen = result.model.layers[0](torch.from_numpy(volumes[:, None].astype(np.float32)))
    norm = result.model.layers[1]
    # Means over batches of 8 and 5, which count alike.
    means = (seen[:8].mean((0, 2, 3, 4)) + seen[8:].mean((0, 2, 3, 4))) / 2
    assert torch.allclose(norm.running_mean, means, atol=0.02)
    assert norm.num_batches_tracked == 2


def test_one_cycle_ends_where_the_steps_end(tmp_path, monkeypatch):
    rates = []

    class Watched(AgeTraining):
        def on_train_batch_end(self, *arguments):
            super().on_train_batch_end(*arguments)
            rates.append(self.optimizers().param_groups[0]["lr"])

    monkeypatch.setattr(training, "AgeTraining", Watched)
    fit(tmp_path, AVERAGED)
    assert max(rates) == pytest.approx(1e-2, rel=0.05)
    assert rates[-1] < rates[0] / 2
    assert len(rates) == 4 * 4
