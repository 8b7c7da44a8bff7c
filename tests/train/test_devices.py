"""Where a training runs, and what is said when it cannot."""

from __future__ import annotations

import pytest
import torch

from brainage_lib.errors import WrongUsage
from brainage_lib.models import make_network
from brainage_lib.train import TrainSettings, devices


@pytest.fixture
def two_gpus(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(
        torch.cuda,
        "get_device_properties",
        lambda number: type("Properties", (), {"uuid": f"test-{id(two_gpus)}-{number}"}),
    )


@pytest.mark.parametrize("asked", ["cuda", "cuda:1"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(monkeypatch, asked):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(WrongUsage, match=r"is not there; there are: cpu; a GPU needs"):
        devices.find_device(asked)
    assert devices.find_device("auto").type == "cpu"


def test_a_number_too_high_names_the_others(two_gpus):
    with pytest.raises(WrongUsage, match=r"there are: cpu, cuda:0, cuda:1$"):
        devices.find_device("cuda:2")
    assert devices.find_device("auto") == torch.device("cuda", 0)


def test_trainings_side_by_side_hold_different_gpus(two_gpus):
    def numbers(places):
        return [place.index for place in places]

    with devices.held_devices("auto") as first, devices.held_devices("cuda") as second:
        assert (numbers(first), numbers(second)) == ([0], [1])
        with devices.held_devices("auto") as third:
            assert numbers(third) == [0]
    with devices.held_devices("cuda:1") as named, devices.held_devices("auto", 2) as both:
        assert (numbers(named), numbers(both)) == ([1], [0, 1])


@pytest.mark.parametrize(
    ("asked", "n", "there"),
    [("auto", 3, "there are 2 GPUs"), ("cuda:1", 2, "there is 1 GPU"), ("cpu", 10_000, "cores?$")],
)
def test_more_devices_than_there_are_is_refused(two_gpus, asked, n, there):
    with pytest.raises(WrongUsage, match=there), devices.held_devices(asked, n):
        pass


def test_devices_share_a_step_and_its_memory(two_gpus, monkeypatch):
    network, shape = make_network("vgg8", (32, 32, 32)), (32, 32, 32)
    room = int(devices.training_bytes(network, shape, 2) + devices.OTHER_BYTES)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (room, 2 * room))
    gpu = torch.device("cuda", 0)
    devices.check_memory(network, shape, TrainSettings(batch=4, devices=2), gpu)
    with pytest.raises(WrongUsage, match=r"a step of 4 scans.*batch: 4 would fit"):
        devices.check_memory(network, shape, TrainSettings(batch=8, devices=2), gpu)


def test_a_step_needs_what_is_kept_for_its_gradients():
    """One convolution of one channel: its input is kept, and two gradients of that size."""

    class One(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = torch.nn.Conv3d(1, 1, 3, padding=1)

        def forward(self, x):
            return self.layer(x)

    one = devices.training_bytes(One(), (8, 8, 8), 2)
    assert one == int(devices.MARGIN * 3 * 2 * 512 * 4) + 16 * 28


@pytest.mark.parametrize("name", ["vgg8", "fcn"])
def test_memory_grows_with_the_batch_and_halves_with_bf16(name):
    network = make_network(name, (32, 32, 32))
    sizes = [devices.training_bytes(network, (32, 32, 32), batch) for batch in (2, 4, 6)]
    assert sizes[2] - sizes[1] == pytest.approx(sizes[1] - sizes[0], rel=0.02)
    assert devices.training_bytes(network, (32, 32, 32), 4, "bf16") < sizes[1]


def test_a_gpu_that_is_too_small_is_refused_with_what_would_fit(monkeypatch):
    network = make_network("vgg8", (32, 32, 32))
    shape, gpu = (32, 32, 32), torch.device("cuda", 0)
    room = int(devices.training_bytes(network, shape, 5) + devices.OTHER_BYTES)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (room, 2 * room))
    devices.check_memory(network, shape, TrainSettings(batch=5), gpu)
    with pytest.raises(WrongUsage, match=r"batch: 5 would fit, precision: bf16 needs about half"):
        devices.check_memory(network, shape, TrainSettings(batch=8), gpu)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (1000, 1000))
    with pytest.raises(WrongUsage, match="no batch of 2 or more would fit"):
        devices.check_memory(network, shape, TrainSettings(batch=8), gpu)


def test_float32_means_float32_and_is_put_back():
    before = (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32)
    with devices.arithmetic("float32"):
        assert not torch.backends.cudnn.allow_tf32
        assert not torch.backends.cuda.matmul.allow_tf32
    with devices.arithmetic("tf32"):
        assert torch.backends.cudnn.allow_tf32
        assert torch.backends.cuda.matmul.allow_tf32
    assert before == (torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32)
