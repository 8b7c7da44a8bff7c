"""Is this installation sound? Versions, weights, and a simulated head whose answer is known."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np

from brainage_lib import __version__
from brainage_lib.errors import UserError
from brainage_lib.files import digest_file, read_json
from brainage_lib.imaging import grid, open_image, preprocess, template
from brainage_lib.models.shipped import shipped_card, shipped_grids, shipped_weights
from brainage_lib.predict.model import Model
from brainage_lib.predict.pack import CARD
from brainage_lib.predict.scan import look_at_scan
from brainage_lib.run import Run
from brainage_lib.simulate import open_scan
from brainage_lib.simulate.head import put_head_around

PACKAGES = ("torch", "numpy", "scipy", "pandas", "nibabel", "nilearn", "SimpleITK", "deepbet",
            "safetensors")  # fmt: skip
PERSON = "sim:v1?seed=1600017&session=1&age=45.00&sex=M&project=IXI&diagnosis=control"
HEAD_MM = 2
MARGIN_MM = ((24, 24), (24, 24), (56, 24))
"""Room around the brain before and behind it on each axis; the neck is below."""

TURN_DEGREES, SHIFT_MM = 8.0, (4.0, -9.0, 12.0)
"""How the simulated head lies in its scanner: nodding, and off the centre."""

FEWEST_DICE, LARGEST_ERROR_MM, LARGEST_YEARS = 0.94, 3.0, 0.5
"""What a sound installation keeps to; on the makers' machine the head gave 0.98 and 0.9 mm."""


class Finding(NamedTuple):
    """One line of the check-up; ``sound`` is None for what is only told."""

    name: str
    sound: bool | None
    text: str


def simulated_head(mm: int = HEAD_MM) -> tuple[nib.Nifti1Image, np.ndarray, np.ndarray]:
    """Make the head of the check-up.

    Parameters
    ----------
    mm : {1, 2, 4}
        Side of its voxels.

    Returns
    -------
    img : Nifti1Image
        A raw head as from a scanner: of a simulated person, turned and off the centre.
    brain : (x, y, z) array of bool
        Where its brain is.
    to_scanner : (4, 4) array
        From MNI152 millimetres, in which the person was made, to the scanner's.
    """
    target = grid(mm)
    made = open_scan(PERSON, target)
    margin = [(side // mm, other // mm) for side, other in MARGIN_MM]
    brain = np.pad(made.mask, margin)
    head = put_head_around(np.pad(made.t1w, margin), brain, mm)
    noise = np.random.default_rng(16).normal(0, 0.01 * np.percentile(head, 99), head.shape)
    head = np.maximum(head + noise, 0)
    angle = np.deg2rad(TURN_DEGREES)
    turn = np.eye(4)
    turn[1, 1] = turn[2, 2] = np.cos(angle)
    turn[1, 2], turn[2, 1] = -np.sin(angle), np.sin(angle)
    turn[:3, 3] = SHIFT_MM
    affine = target.affine.copy()
    affine[:3, 3] -= mm * np.array([before for before, _ in margin])
    img = nib.Nifti1Image(np.round(head / head.max() * 4000).astype(np.int16), turn @ affine)
    img.header.set_xyzt_units("mm")
    return img, brain, turn


def check_up(model: Run | None = None, device: str = "auto") -> Iterator[Finding]:
    """Look whether Brain Age works here; findings come one by one, for some take a minute.

    Parameters
    ----------
    model : Run, optional
        Networks that are to be looked at, too: a run or a packed model.
    device : {"auto", "cpu", "cuda"}
    """
    yield Finding("brainage", None, f"{__version__}, Python {platform.python_version()}")
    for name in PACKAGES:
        try:
            yield Finding(name, None, importlib.metadata.version(name))
        except importlib.metadata.PackageNotFoundError:
            yield Finding(name, False, "is missing; install Brain Age again")
    yield _guarded("brain extraction", _deepbet)
    yield _guarded("template", _template)
    yield _guarded("generators", _generators)
    yield _guarded("simulated head", _head)
    if model is not None:
        yield _guarded("networks", lambda: _hashes(model))
        yield _guarded("answer", lambda: _answer(model, device))


def _guarded(name: str, look) -> Finding:
    try:
        sound, text = look()
    except UserError as error:
        sound, text = False, str(error)
    except Exception as error:
        # A broken installation can fail in any way, and the other findings are wanted.
        sound, text = False, f"{type(error).__name__}: {error}"
    return Finding(name, sound, text)


def _deepbet() -> tuple[bool | None, str]:
    files = importlib.metadata.files("deepbet") or []
    weights = [file for file in files if file.suffix == ".pt"]
    if not weights:
        return False, "deepbet came without its networks; install it again"
    told = []
    for file in weights:
        # The hash that the wheel's own record holds.
        kept = file.hash.value if file.hash else ""
        found = digest_file(file.locate())
        if kept and kept != _urlsafe(found):
            return False, f"{file.name} is not as it was packed; install deepbet again"
        told.append(f"{file.name} {found[:12]}")
    return True, ", ".join(told)


def _urlsafe(digest: str) -> str:
    import base64

    return base64.urlsafe_b64encode(bytes.fromhex(digest)).decode().rstrip("=")


def _template() -> tuple[bool, str]:
    ml = float(np.count_nonzero(template(grid(4)).mask) * 64 / 1000)
    return 1500 < ml < 2200, f"MNI152, brain of {ml:.0f} ml"


def _head() -> tuple[bool, str]:
    img, brain, to_scanner = simulated_head()
    with tempfile.TemporaryDirectory(prefix="brainage-") as folder:
        path = os.path.join(folder, "head.nii.gz")
        nib.save(img, path)
        found = preprocess(open_image(path), "native-head")
    # The head was made along RAS axes; turning it by a few degrees does not change their order.
    mask = np.asarray(found.img.dataobj) > 0
    dice = 2 * np.count_nonzero(mask & brain) / (np.count_nonzero(mask) + np.count_nonzero(brain))
    target = grid(4)
    points = nib.affines.apply_affine(target.affine, np.argwhere(template(target).mask))
    back = nib.affines.apply_affine(found.to_mni @ to_scanner, points)
    # A person has a head size of their own, so that a share of it is no error.
    error = float(np.linalg.norm((back - points) - (back - points).mean(axis=0), axis=1).mean())
    sound = dice >= FEWEST_DICE and error <= LARGEST_ERROR_MM
    return sound, f"brain found with Dice {dice:.3f}, brought to MNI152 within {error:.1f} mm"


def _generators() -> tuple[bool | None, str]:
    grids = shipped_grids()
    wrong = [f"{mm} mm" for mm in grids
             if digest_file(shipped_weights(mm)) != shipped_card(mm)["sha256"]]  # fmt: skip
    if wrong:
        return False, f"not as on their cards: {', '.join(wrong)}; install Brain Age again"
    return True, f"{', '.join(f'{mm} mm' for mm in grids) or 'none'}, as on their cards"


def _hashes(run: Run) -> tuple[bool | None, str]:
    model = Model(run)
    told = f"{len(model.digests)} files, sha256 {model.digest[:12]}"
    card = run.path(CARD)
    if not card.is_file():
        return None, f"{told}; a run has no card to compare it with"
    wrong = [name for name, digest in read_json(card)["sha256"].items()
             if model.digests.get(name) != digest]  # fmt: skip
    if wrong:
        return False, f"not as on the card: {', '.join(wrong)}"
    return True, f"{told}, as on the card"


def _answer(run: Run, device: str) -> tuple[bool | None, str]:
    known = read_json(run.path(CARD))["trial"] if run.path(CARD).is_file() else None
    path = known["scan"] if known else PERSON
    scan = {"scan_id": "trial", "path": path, "t1w_state": "simulated", "age": 52, "sex": "F"}
    found = look_at_scan(Model(run, device), scan)
    if found.predicted_age is None:
        return False, f"a simulated brain was refused: {'; '.join(found.reasons)}"
    told = f"a simulated brain is {found.predicted_age:.2f} years old"
    if known is None:
        return None, told
    expected = known["predicted_age"]
    return abs(found.predicted_age - expected) <= LARGEST_YEARS, f"{told}, {expected:.2f} expected"


def write_head(path: str | os.PathLike) -> None:
    """Write the head of the check-up to a file, for trying what is done to one's own."""
    from brainage_lib.files import replacing

    with replacing(Path(path)) as temporary:
        nib.save(simulated_head()[0], temporary)
