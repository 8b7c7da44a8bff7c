"""The volume store: the same bytes whatever interrupted it, and nothing half-written."""

from __future__ import annotations

import hashlib
import os
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainage_lib.data.store import VolumeStore, VolumeWriter, shard_rows_for
from brainage_lib.errors import BadInput

SHAPE = (3, 4, 5)


def volume(number, shape=SHAPE):
    return np.random.default_rng([7, number]).normal(size=shape).astype(np.float16)


def fill(folder, names, stop=None, **options):
    with VolumeWriter(folder, SHAPE, shard_rows=4, **options) as writer:
        for name in names:
            if name in set(writer.done):
                continue
            if name == stop:
                raise KeyboardInterrupt
            writer.add(name, volume(int(name)))


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


NAMES = [str(n) for n in range(10)]


def test_volumes_come_back_bit_for_bit_as_read_only_views(tmp_path):
    fill(tmp_path, NAMES)
    store = VolumeStore(tmp_path)
    assert store.scan_ids == NAMES
    assert len(store) == 10
    assert "3" in store
    assert "x" not in store
    for name in NAMES:
        assert store[name].dtype == np.float16
        np.testing.assert_array_equal(store[name], volume(int(name)))
    with pytest.raises(ValueError, match="read-only"):
        store["3"][0, 0, 0] = 1
    chosen = ["9", "0", "4"]
    np.testing.assert_array_equal(store.array(chosen), [volume(int(n)) for n in chosen])
    shards = sorted(path.name for path in tmp_path.glob("*.npy"))
    assert shards == ["000.npy", "001.npy", "002.npy"]
    assert [len(np.load(tmp_path / name)) for name in shards] == [4, 4, 2]


def test_the_index_holds_the_hash_of_each_row(tmp_path):
    fill(tmp_path, NAMES)
    index = VolumeStore(tmp_path).index
    assert list(index.columns) == ["scan_id", "shard", "row", "sha256"]
    for scan_id, shard, row, digest in index.itertuples(index=False):
        stored = np.load(tmp_path / f"{shard:03d}.npy")[row]
        assert hashlib.sha256(stored.tobytes()).hexdigest() == digest
        assert hashlib.sha256(volume(int(scan_id)).tobytes()).hexdigest() == digest


def test_tissue_maps_have_a_channel_axis(tmp_path):
    with VolumeWriter(tmp_path, (3, *SHAPE), shard_rows=2) as writer:
        for name in "012":
            writer.add(name, volume(int(name), (3, *SHAPE)))
    assert VolumeStore(tmp_path).rows("20").shape == (2, 3, *SHAPE)
    np.testing.assert_array_equal(VolumeStore(tmp_path)["2"], volume(2, (3, *SHAPE)))


@settings(deadline=None, max_examples=25)
@given(stops=st.lists(st.sampled_from(NAMES), max_size=4))
def test_a_killed_run_goes_on_and_leaves_the_same_bytes(tmp_path_factory, stops):
    whole, broken = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("broken")
    fill(whole, NAMES)
    for stop in stops:
        try:
            fill(broken, NAMES, stop)
        except KeyboardInterrupt:
            # Full shards only: nothing that a reader could take for a finished store.
            kept = VolumeStore(broken).scan_ids
            assert kept == NAMES[: 4 * (len(kept) // 4)]
    fill(broken, NAMES)
    assert contents(broken) == contents(whole)


@pytest.mark.parametrize("leftover", [".tmp-shard.npy", "001.npy", "007.npy"])
def test_what_a_dead_process_left_unlisted_is_not_trusted(tmp_path, leftover):
    fill(tmp_path / "whole", NAMES)
    with pytest.raises(KeyboardInterrupt):
        fill(tmp_path / "dead", NAMES, "5")
    (tmp_path / "dead" / leftover).write_bytes(b"\x93NUMPY half a file")
    fill(tmp_path / "dead", NAMES)
    assert contents(tmp_path / "dead") == contents(tmp_path / "whole")


@pytest.mark.parametrize("damage", ["cut", "flip", "remove"])
def test_a_damaged_shard_is_written_again(tmp_path, damage):
    fill(tmp_path / "whole", NAMES)
    fill(tmp_path / "dead", NAMES[:9])
    path = tmp_path / "dead" / "000.npy"
    data = bytearray(path.read_bytes())
    data[-3] ^= 0x10
    if damage == "cut":
        os.truncate(path, 200)
    elif damage == "flip":
        path.write_bytes(data)
    else:
        path.unlink()
    assert VolumeStore(tmp_path / "dead", check=False).damaged_shards() == [0]
    fill(tmp_path / "dead", NAMES)
    assert contents(tmp_path / "dead") == contents(tmp_path / "whole")


def test_another_key_or_shape_begins_anew_and_touches_nothing_else(tmp_path):
    fill(tmp_path, NAMES, key="one")
    (tmp_path / "notes.txt").write_text("mine")
    writer = VolumeWriter(tmp_path, SHAPE, shard_rows=4, key="two")
    assert writer.done == []
    assert list(tmp_path.glob("*.npy")) == []
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_the_caller_writes_its_rows_before_the_index_lists_them(tmp_path):
    seen = []

    def before():
        seen.append(len(VolumeStore(tmp_path, check=False)))

    fill(tmp_path, NAMES, before_index=before)
    assert seen == [0, 4, 8]


@pytest.mark.parametrize(
    ("scan_id", "bad", "message"),
    [
        ("b", np.zeros((3, 4, 6)), "shape"),
        ("a", np.zeros(SHAPE), "in the store already"),
        ("b", np.full(SHAPE, np.nan), "cannot hold"),
        ("b", np.full(SHAPE, 1e6), "cannot hold"),
    ],
)
def test_a_volume_that_cannot_be_stored_is_refused(tmp_path, scan_id, bad, message):
    with VolumeWriter(tmp_path, SHAPE) as writer:
        writer.add("a", np.zeros(SHAPE))
        with pytest.raises(ValueError, match=message):
            writer.add(scan_id, bad)
    assert VolumeStore(tmp_path).scan_ids == ["a"]


def test_a_missing_store_or_shard_is_an_error_with_a_remedy(tmp_path):
    with pytest.raises(BadInput, match="run the chapter that makes them"):
        VolumeStore(tmp_path / "nothing")
    fill(tmp_path, NAMES)
    (tmp_path / "001.npy").unlink()
    os.truncate(tmp_path / "002.npy", 130)
    with pytest.raises(BadInput) as raised:
        VolumeStore(tmp_path)
    assert [finding[:7] for finding in raised.value.findings] == ["001.npy", "002.npy"]
    with pytest.raises(KeyError, match="put aside"):
        VolumeStore(tmp_path, check=False)["unknown"]


def test_rows_behave_like_a_list_of_volumes(tmp_path):
    fill(tmp_path, NAMES)
    rows = VolumeStore(tmp_path).rows(["7", "1", "1", "3"])
    assert len(rows) == 4
    assert rows.shape == (4, *SHAPE)
    np.testing.assert_array_equal(np.stack(list(rows)), [volume(n) for n in (7, 1, 1, 3)])
    np.testing.assert_array_equal(rows[-1], volume(3))
    assert rows[1:].scan_ids == ["1", "1", "3"]
    with pytest.raises(IndexError):
        rows[4]
    with pytest.raises(KeyError, match="2 scans have no volume"):
        VolumeStore(tmp_path).rows(["1", "x", "y"])


def test_a_pickled_store_carries_no_voxels(tmp_path):
    fill(tmp_path, NAMES)
    rows = VolumeStore(tmp_path).rows(NAMES)
    np.testing.assert_array_equal(rows[0], volume(0))
    packed = pickle.dumps(rows)
    assert b"NUMPY" not in packed
    assert rows[0].tobytes() not in packed
    np.testing.assert_array_equal(pickle.loads(packed)[5], volume(5))


def test_shards_stay_below_a_quarter_of_a_gibibyte():
    assert shard_rows_for((48, 64, 48)) == 64
    rows = shard_rows_for((182, 218, 182))
    assert 1 <= rows < 64
    assert rows * 182 * 218 * 182 * 2 <= 256 * 1024**2
    assert shard_rows_for((1000, 1000, 1000)) == 1
