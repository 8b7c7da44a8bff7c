from types import SimpleNamespace

import numpy as np

from brainage_lib.data import VolumeWriter, network_inputs, scaled
from brainage_lib.imaging import normalise


def test_blood_volume_is_read_on_the_scale_of_t1w_and_t1w_as_stored(tmp_path):
    run = SimpleNamespace(path=tmp_path.joinpath)
    volume = np.random.default_rng(1).uniform(0, 90, (6, 7, 8)).astype(np.float16)
    for name in ("t1w", "cbv"):
        with VolumeWriter(tmp_path / "volumes" / name, volume.shape) as writer:
            writer.add("a", volume)
    assert np.array_equal(network_inputs(run, "T", ["a"])[0], volume)
    assert np.array_equal(network_inputs(run, "A", ["a"])[0], normalise(volume))
    # The control network F: the same T1w, brain only, in another contrast.
    (other,) = network_inputs(run, "F", ["a"])
    ranks = np.argsort(np.argsort(volume[volume > 0].astype(float), kind="stable"))
    assert other.dtype == np.float32
    assert np.all(other[volume == 0] == 0)
    assert np.corrcoef(ranks, other[volume > 0])[0, 1] < -0.5
    assert np.all(np.diff(other[volume > 0][np.argsort(volume[volume > 0])]) <= 0)


def test_a_scan_that_is_not_in_a_store_is_read_as_if_it_were():
    volume = np.random.default_rng(2).uniform(0, 90, (6, 7, 8)).astype(np.float16)
    assert np.array_equal(scaled("A", [volume])[0], normalise(volume))
    assert np.array_equal(scaled("T", [volume])[0], volume)
