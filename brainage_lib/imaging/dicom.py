"""A folder with one DICOM series as a volume; nothing but voxels and geometry is taken from it."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np

from brainage_lib.errors import BadImage
from brainage_lib.imaging.itk import TO_LPS, from_itk

FEWEST_SLICES = 16


def open_series(folder: Path) -> nib.Nifti1Image:
    """Read the DICOM series of a folder, subfolders included.

    Parameters
    ----------
    folder : path

    Returns
    -------
    Nifti1Image
        float32. Names, dates and everything else of the headers is left behind.

    Raises
    ------
    BadImage
        There is no series, more than one, or it cannot be read as one volume.
    """
    import SimpleITK as sitk

    # GDCM prints what it thinks of each file that is none of its own.
    sitk.ProcessObject.SetGlobalWarningDisplay(False)
    found: dict[str, tuple[str, ...]] = {}
    for place in (folder, *sorted(path for path in folder.rglob("*") if path.is_dir())):
        for series in sitk.ImageSeriesReader.GetGDCMSeriesIDs(str(place)):
            files = sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(place), series)
            found[f"{place}:{series}"] = files
    volumes = [files for files in found.values() if len(files) >= FEWEST_SLICES]
    if not volumes:
        raise BadImage(
            "folder holds no DICOM series of a volume",
            "give the folder of the T1w series, or convert it to NIfTI, for example with dcm2niix",
        )
    if len(volumes) > 1:
        raise BadImage(
            f"folder holds {len(volumes)} DICOM series",
            "give the folder of the T1w series alone",
        )
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(volumes[0])
    try:
        image = reader.Execute()
    except RuntimeError:
        raise BadImage(
            "DICOM series cannot be read as one volume", "convert it to NIfTI with dcm2niix"
        ) from None
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise BadImage("DICOM series is not one volume of grey values", "export the T1w alone")
    lps = np.eye(4)
    lps[:3, :3] = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    lps[:3, 3] = image.GetOrigin()
    return nib.Nifti1Image(from_itk(image).astype(np.float32), TO_LPS @ lps)
