"""A folder with a DICOM series is a scan like any other; more than one is refused."""

from __future__ import annotations

import locale

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from brainage_lib.errors import BadImage
from brainage_lib.imaging import open_image
from brainage_lib.imaging.itk import TO_LPS, to_itk


def write_series(folder, data, affine, series="1.2.3"):
    """Write slices along the third axis, with a name in the header that must not come along."""
    # GDCM's writer sets the locale of the whole process to "C", for all tests that come after.
    before = locale.setlocale(locale.LC_ALL)
    try:
        _write_series(folder, data, affine, series)
    finally:
        locale.setlocale(locale.LC_ALL, before)


def _write_series(folder, data, affine, series):
    folder.mkdir(parents=True, exist_ok=True)
    image = sitk.Cast(to_itk(data, affine), sitk.sitkInt16)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    direction = np.array(image.GetDirection()).reshape(3, 3)
    for place in range(image.GetSize()[2]):
        part = image[:, :, place]
        origin = image.TransformIndexToPhysicalPoint((0, 0, place))
        tags = {
            "0008|0060": "MR", "0010|0010": "Doe^Jane", "0010|0030": "19700101",
            "0020|000e": series, "0020|0013": str(place),
            "0020|0032": "\\".join(f"{value:.6f}" for value in origin),
            "0020|0037": "\\".join(f"{value:.6f}" for value in direction[:, :2].T.ravel()),
        }  # fmt: skip
        for tag, value in tags.items():
            part.SetMetaData(tag, value)
        writer.SetFileName(str(folder / f"{series}-{place:03}.dcm"))
        writer.Execute(part)


@pytest.fixture
def scan():
    """Voxels and an oblique affine."""
    data = np.random.default_rng(0).integers(0, 900, (20, 24, 22)).astype(np.float32)
    affine = np.eye(4)
    turn = np.deg2rad(20)
    affine[1:3, 1:3] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    affine[:3, :3] *= (1.0, 1.25, 1.5)
    affine[:3, 3] = (-12.5, -20.0, 7.25)
    return data, affine


def test_a_series_keeps_its_voxels_and_its_place(scan, tmp_path):
    write_series(tmp_path / "dicom" / "t1", *scan)
    img = open_image(tmp_path / "dicom")
    assert isinstance(img, nib.Nifti1Image)
    np.testing.assert_array_equal(np.asarray(img.dataobj), scan[0])
    np.testing.assert_allclose(img.affine, scan[1], atol=1e-4)
    assert b"Doe" not in img.header.binaryblock
    np.testing.assert_allclose(TO_LPS @ TO_LPS, np.eye(4))


def test_two_series_are_not_chosen_between(scan, tmp_path):
    write_series(tmp_path / "d", *scan)
    write_series(tmp_path / "d", *scan, series="1.2.4")
    with pytest.raises(BadImage, match="holds 2 DICOM series"):
        open_image(tmp_path / "d")


def test_a_folder_without_a_volume_is_named(scan, tmp_path):
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "readme.txt").write_text("hello")
    with pytest.raises(BadImage, match="no DICOM series of a volume"):
        open_image(tmp_path / "none")
    write_series(tmp_path / "few", scan[0][:, :, :4], scan[1])
    with pytest.raises(BadImage, match="no DICOM series of a volume"):
        open_image(tmp_path / "few")
