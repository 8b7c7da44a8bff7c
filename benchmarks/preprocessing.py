"""Time and memory of each step of preprocessing.

A simulated head of 1 mm and one of 2 mm, in a process of its own each; one thread, as in a run,
where scans are spread over processes. Times depend on the machine: compare the shares.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time

import nibabel as nib
import numpy as np


def make_head(mm: int) -> nib.Nifti1Image:
    """Put the template in a head, with noise and a bias field."""
    from brainage_lib.imaging import grid, template
    from brainage_lib.simulate.head import put_head_around

    made = template(grid(mm))
    margin = [(round(24 / mm), round(24 / mm))] * 2 + [(round(64 / mm), round(24 / mm))]
    mask = np.pad(made.mask, margin)
    head = put_head_around(np.pad(np.where(made.mask, made.t1w, 0), margin), mask, mm)
    x = np.linspace(-1, 1, head.shape[0])[:, None, None]
    noise = np.random.default_rng(0).normal(0, 0.03, head.shape)
    affine = grid(mm).affine.copy()
    affine[:3, 3] -= mm * np.array([before for before, _ in margin])
    spoiled = np.where(head > 0, 500 * (head * (1 + 0.25 * x) + noise), 0).clip(0)
    return nib.Nifti1Image(spoiled.astype(np.float32), affine)


def measure(mm: int, answer) -> None:
    """Time the steps on a head of ``mm``."""
    import torch

    from brainage_lib.imaging import grid, resample, template
    from brainage_lib.imaging.bias import bias_field
    from brainage_lib.imaging.extraction import extract_brain
    from brainage_lib.imaging.orientation import to_ras
    from brainage_lib.imaging.registration import register

    torch.set_num_threads(1)
    img = make_head(mm)
    template(grid(2))
    times = [time.perf_counter()]

    def lap(_value):
        times.append(time.perf_counter())
        return _value

    img = lap(to_ras(img))
    data = np.asarray(img.dataobj)
    mask = lap(extract_brain(img))
    field = lap(bias_field(data, img.affine, mask))
    brain = np.where(mask, data / field, 0).astype(np.float32)
    to_mni = lap(register(brain, img.affine))
    lap(resample(brain, to_mni @ img.affine, grid(2)))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answer.put(
        (data.shape, np.diff(times), memory / (1024**2 if sys.platform != "darwin" else 1024**3))
    )


def main() -> None:
    """Print a table: seconds a step, by the size of the voxels."""
    names = ("axes", "brain extraction", "N4", "affine", "2 mm grid")
    print(f"{'head':>16} " + " ".join(f"{name:>16}" for name in (*names, "all", "peak GB")))
    spawn = multiprocessing.get_context("spawn")
    for mm in (1, 2):
        answer = spawn.Queue()
        process = spawn.Process(target=measure, args=(mm, answer))
        process.start()
        shape, seconds, memory = answer.get()
        process.join()
        label = f"{mm} mm, {' '.join(map(str, shape))}"
        cells = [f"{value:14.1f} s" for value in (*seconds, seconds.sum())]
        print(f"{label:>16} " + " ".join(cells) + f" {memory:15.1f}")


if __name__ == "__main__":
    main()
