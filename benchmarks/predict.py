"""Where the time of `brainage predict` goes: one simulated raw head, step by step.

In one process, as `brainage predict` itself: the first scan pays for opening networks and for
compiling, the second does not. Asks the networks of a run (`demo` unless another is named as the
argument). Times depend on the machine: compare the shares.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import nibabel as nib


def main(run: str) -> None:
    """Time two scans, of which the second finds everything open."""
    began = time.monotonic()
    from brainage_lib import show
    from brainage_lib.data.native import native_brain
    from brainage_lib.data.volumes import prepare_scan
    from brainage_lib.errors import UserError
    from brainage_lib.imaging import grid, guess_state, open_image
    from brainage_lib.predict import Model, attribution, find_model, look_at_scan
    from brainage_lib.predict.checkup import simulated_head
    from brainage_lib.report import scan_page, scan_pdf

    imported = time.monotonic() - began
    try:
        model = Model(find_model(run), "cpu")
        model.check()
    except UserError as error:
        print(f"left out: {error}")
        return
    mm = model.run.profile.grid_mm
    times: dict[str, list[float]] = {"imports": [imported, 0.0]}

    def timed(step: str, function, *arguments, **keywords):
        start = time.monotonic()
        result = function(*arguments, **keywords)
        times.setdefault(step, []).append(time.monotonic() - start)
        return result

    with tempfile.TemporaryDirectory() as folder:
        path, state = Path(folder, "head.nii.gz"), "native-head"
        nib.save(simulated_head()[0], path)
        scan = {"scan_id": "head", "path": path.name, "t1w_state": state}
        for turn in ("first", "second"):
            cache = Path(folder, turn)
            timed("open, guess the state", lambda: guess_state(open_image(path)))
            timed("brain, bias field, affine", native_brain, path, state, cache)
            timed("grid, quality", prepare_scan, scan, folder, mm, str(cache), False)
            found = timed("the same from the cache, AICBV, ages", look_at_scan, model, scan, folder,
                          cache=cache)  # fmt: skip
            maps = timed("attribution", attribution, model, found)
            planes = timed("pictures", show.scan_planes, found.t1w, grid(mm).affine, found.aicbv,
                           maps)  # fmt: skip
            timed("page", scan_page, found, planes)
            timed("PDF", scan_pdf, found, planes)
    total = [sum(column) for column in zip(*times.values(), strict=True)]
    print(f"{'step':38} {'first':>8} {'second':>8}  share of the second")
    for step, (first, second) in times.items():
        print(f"{step:38} {first:7.1f}s {second:7.1f}s  {second / total[1]:6.1%}")
    print(f"{'together':38} {total[0]:7.1f}s {total[1]:7.1f}s")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "demo")
