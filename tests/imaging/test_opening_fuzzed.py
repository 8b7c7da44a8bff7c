"""Broken files of any kind are refused with a reason: no crash, no memory that a header claims."""

from __future__ import annotations

import datetime
import gzip
import struct
import tracemalloc

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brainage_lib.errors import BadImage
from brainage_lib.imaging import open_image

HEADER = 352
QUICK = {
    "deadline": datetime.timedelta(seconds=10),
    "suppress_health_check": list(HealthCheck),
    "derandomize": True,
}
# Where a number of the header stands, and its type: dim, datatype, bitpix, pixdim, vox_offset,
# scl_slope, scl_inter, qform_code, sform_code, quatern, srow, and the length of an extension.
NUMBERS = [
    *((40 + 2 * place, "<h") for place in range(8)),
    (70, "<h"), (72, "<h"),
    *((76 + 4 * place, "<f") for place in range(8)),
    (108, "<f"), (112, "<f"), (116, "<f"), (252, "<h"), (254, "<h"),
    *((256 + 4 * place, "<f") for place in range(18)),
    (348, "<i"), (352, "<i"),
]  # fmt: skip
EXTREME = {
    "<h": [-32768, -1, 0, 1, 2, 4, 16, 64, 128, 256, 512, 768, 1024, 1792, 2048, 32767],
    "<i": [-(2**31), -1, 0, 1, 2**31 - 1],
    "<f": [float("nan"), float("inf"), -float("inf"), 0.0, -1.0, 1e-38, 1e38, 352.0, 1e9, -352.0],
}


@pytest.fixture(scope="module")
def good():
    data = np.random.default_rng(3).random((18, 19, 20), dtype=np.float32)
    return bytes(nib.Nifti1Image(data, np.diag([2.0, 2, 2, 1])).to_bytes())


@st.composite
def damages(draw):
    """Numbers of the header that are changed, bytes that are changed, and a length."""
    numbers = draw(st.lists(st.sampled_from(NUMBERS), max_size=4))
    values = [(place, kind, draw(st.sampled_from(EXTREME[kind]))) for place, kind in numbers]
    flips = draw(st.lists(st.tuples(st.integers(0, HEADER - 1), st.integers(0, 255)), max_size=6))
    length = draw(st.one_of(st.none(), st.integers(0, 2 * HEADER), st.integers(0, 27712)))
    return values, flips, length, draw(st.booleans())


def try_to_open(good, damage, folder):
    values, flips, length, packed = damage
    raw = bytearray(good)
    for place, kind, value in values:
        struct.pack_into(kind, raw, place, value)
    for place, value in flips:
        raw[place] = value
    content = bytes(raw[:length])
    path = folder / ("scan.nii.gz" if packed else "scan.nii")
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    try:
        img = open_image(path)
    except BadImage as error:
        img, reason = None, error.reason
    if img is None:
        assert reason
        assert str(folder) not in reason
        return
    data = np.asarray(img.dataobj)
    assert data.ndim == 3
    assert np.isfinite(data).all()
    assert np.isfinite(np.linalg.inv(img.affine)).all()


def fuzz(good, folder, examples):
    @settings(max_examples=examples, **QUICK)
    @given(damages())
    def go(damage):
        try_to_open(good, damage, folder)

    go()


@pytest.mark.filterwarnings("ignore")
def test_mutated_files_are_opened_or_refused(good, tmp_path):
    fuzz(good, tmp_path, 100)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_thousand_mutated_files_are_opened_or_refused(good, tmp_path):
    fuzz(good, tmp_path, 1_000)


@pytest.mark.parametrize("sides", [(10_000, 10_000, 10_000), (512, 512, 512), (300, 300, 300)])
@pytest.mark.parametrize("packed", [True, False])
def test_a_small_file_that_claims_many_voxels_costs_no_memory(good, tmp_path, sides, packed):
    raw = bytearray(good[:HEADER])
    struct.pack_into("<hhh", raw, 42, *sides)
    path = tmp_path / ("scan.nii.gz" if packed else "scan.nii")
    path.write_bytes(gzip.compress(bytes(raw)) if packed else bytes(raw))
    tracemalloc.start()
    try:
        with pytest.raises(BadImage):
            open_image(path)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_what_follows_the_last_voxel_without_end_is_not_read(good, tmp_path, monkeypatch):
    from brainage_lib.imaging import opening

    monkeypatch.setattr(opening, "BEHIND_BYTES", 2**20)
    path = tmp_path / "scan.nii.gz"
    path.write_bytes(gzip.compress(good + bytes(2**22)))
    with pytest.raises(BadImage, match="cut off or damaged"):
        open_image(path)


@pytest.mark.parametrize(
    ("fault", "refused"), [(OSError(5, "Input/output error"), False),
                           (PermissionError(13, "Permission denied"), True)]
)  # fmt: skip
def test_a_disk_that_does_not_answer_is_no_damaged_scan(
    good, tmp_path, monkeypatch, fault, refused
):
    path = tmp_path / "scan.nii"
    path.write_bytes(good)

    def fail(*arguments, **keywords):
        raise fault

    monkeypatch.setattr(nib, "load", fail)
    with pytest.raises(BadImage if refused else OSError):
        open_image(path)
