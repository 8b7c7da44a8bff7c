"""Each broken image is refused with its own reason and remedy."""

from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
import pytest

from brainage_lib.errors import BadImage
from brainage_lib.imaging import DEFECTS, grid, open_image, to_grid

SHAPE = (20, 22, 24)


@pytest.fixture
def picture() -> np.ndarray:
    return np.random.default_rng([1]).random(SHAPE, dtype=np.float32)


def _save(path, data, affine=None):
    nib.save(nib.Nifti1Image(data, np.diag([2, 2, 2, 1]) if affine is None else affine), path)
    return path


def _break(case: str, folder, picture):
    path = folder / "scan.nii.gz"
    if case == "missing":
        return path
    if case == "empty":
        path.touch()
    elif case == "truncated":
        _save(path, picture)
        path.write_bytes(path.read_bytes()[:-2000])
    elif case == "damaged":
        _save(path, picture)
        whole = bytearray(path.read_bytes())
        whole[len(whole) // 2 :] = bytes(len(whole) - len(whole) // 2)
        path.write_bytes(whole)
    elif case == "cut in the header":
        _save(path, picture)
        path.write_bytes(path.read_bytes()[:40])
    elif case == "text":
        path.write_bytes(gzip.compress(b"not an image" * 100))
    elif case == "not even gz":
        path = folder / "scan.nii"
        path.write_text("not an image")
    elif case == "other format":
        path = folder / "scan.mgz"
        nib.save(nib.MGHImage(picture, np.eye(4)), path)
    elif case == "4-D":
        _save(path, np.stack([picture, picture], axis=3))
    elif case == "2-D":
        _save(path, picture[:, :, 0])
    elif case == "NaN":
        picture[3, 3, 3] = np.nan
        _save(path, picture)
    elif case == "inf":
        picture[3, 3, 3] = np.inf
        _save(path, picture)
    elif case == "constant":
        _save(path, np.full(SHAPE, 7, np.float32))
    elif case == "flat affine":
        raw = bytearray(nib.Nifti1Image(picture, np.eye(4)).to_bytes())
        raw[312:328] = bytes(16)  # srow_z
        path.write_bytes(gzip.compress(raw))
    elif case == "collinear affine":
        affine = np.eye(4)
        affine[:3, 1] = affine[:3, 0]
        _save(path, picture, affine)
    elif case == "few voxels":
        _save(path, picture[:4])
    elif case == "huge voxels":
        _save(path, picture, np.diag([90.0, 90.0, 90.0, 1.0]))
    elif case == "claims a terabyte":
        img = nib.Nifti1Image(picture, np.eye(4))
        raw = bytearray(img.to_bytes())
        raw[40:48] = np.array([3, 9000, 9000, 9000], "<i2").tobytes()
        path = folder / "scan.nii"
        path.write_bytes(raw)
    elif case == "complex":
        _save(path, picture.astype(np.complex64))
    elif case == "colour":
        colours = np.zeros(SHAPE, np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]))
        _save(path, colours)
    return path


CASES = {
    "missing": "missing",
    "empty": "empty",
    "truncated": "truncated",
    "damaged": "truncated",
    "cut in the header": "truncated",
    "text": "format",
    "not even gz": "format",
    "other format": "format",
    "4-D": "dimensions",
    "2-D": "dimensions",
    "NaN": "nan",
    "inf": "nan",
    "constant": "constant",
    "flat affine": "affine",
    "collinear affine": "affine",
    "few voxels": "size",
    "huge voxels": "size",
    "claims a terabyte": "size",
    "complex": "type",
    "colour": "type",
}


@pytest.mark.parametrize(("case", "defect"), CASES.items(), ids=CASES)
def test_broken_image_is_refused_with_reason_and_remedy(case, defect, tmp_path, picture):
    path = _break(case, tmp_path, picture)
    with pytest.raises(BadImage) as caught:
        open_image(path)
    assert caught.value.reason.startswith(DEFECTS[defect].reason)
    assert caught.value.remedy == DEFECTS[defect].remedy
    assert str(tmp_path) not in caught.value.reason, "reasons stand in tables; no paths there"


def test_every_defect_is_tried():
    assert set(CASES.values()) | {"space"} == set(DEFECTS)


def test_good_image_keeps_voxels_and_affine(tmp_path, picture):
    affine = np.array([[-2.0, 0, 0, 90], [0, 2, 0, -126], [0, 0, 2, -72], [0, 0, 0, 1]])
    img = open_image(_save(tmp_path / "a.nii.gz", picture, affine))
    np.testing.assert_array_equal(img.get_fdata(dtype=np.float32), picture)
    np.testing.assert_array_equal(img.affine, affine)


def test_series_of_one_volume_is_squeezed(tmp_path, picture):
    assert open_image(_save(tmp_path / "a.nii", picture[..., None])).shape == SHAPE


def test_scaled_integers_are_read_as_real_values(tmp_path):
    data = np.arange(np.prod(SHAPE)).reshape(SHAPE).astype(np.float32) / 1000
    img = nib.Nifti1Image(data, np.eye(4))
    img.set_data_dtype(np.int16)
    nib.save(img, tmp_path / "a.nii")
    assert np.abs(open_image(tmp_path / "a.nii").get_fdata() - data).max() < 1e-3


@pytest.mark.parametrize(
    ("origin", "shape"),
    [((-90.0, -430.0, -400.0), (182, 218, 182)), ((-90, -120, -135), (180, 240, 240))],
    ids=["far away", "scanner coordinates"],
)
def test_box_elsewhere_is_not_mni152(origin, shape):
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = origin
    img = nib.Nifti1Image(np.ones([n // 2 for n in shape], np.float32), affine)
    with pytest.raises(BadImage, match="not on an MNI152 grid"):
        to_grid(img, grid(4))
