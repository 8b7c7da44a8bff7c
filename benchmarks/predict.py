"""Where the time and the memory of `brainage predict` go: one simulated raw head, step by step.

In one process, as `brainage predict` itself: the first scan pays for opening networks and for
compiling, the second does not. Asks the networks of a run (`demo` unless another is named as the
first argument; the second is the head's voxel in mm, 2 unless said). Times depend on the machine:
compare the shares; where others use it, seconds of the processor say more than those of the clock.
The memory is the process's peak during a step, from the system's own account (Linux; elsewhere
nothing is told).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path

PROC = Path("/proc/self")


HEAD = """import sys, nibabel
from brainage_lib.predict.checkup import simulated_head
nibabel.save(simulated_head(int(sys.argv[2]))[0], sys.argv[1])"""
"""In a process of its own: what it needs would count as memory of the prediction."""


def forget_peak() -> None:
    """Let the system count the process's peak of memory from now on."""
    if (PROC / "clear_refs").exists():
        (PROC / "clear_refs").write_text("5", encoding="utf-8")


def peak_gb() -> float:
    """Peak of the memory held since `forget_peak`, GB; NaN where the system does not tell."""
    status = PROC / "status"
    lines = status.read_text(encoding="utf-8").splitlines() if status.exists() else []
    kb = [line.split()[1] for line in lines if line.startswith("VmHWM")]
    return int(kb[0]) / 2**20 if kb else float("nan")


def main(run: str, head_mm: int) -> None:
    """Time two scans, of which the second finds everything open."""
    began = time.monotonic()
    from brainage_lib import show
    from brainage_lib.data.native import native_brain
    from brainage_lib.data.volumes import prepare_scan
    from brainage_lib.errors import UserError
    from brainage_lib.imaging import grid, guess_state, open_image
    from brainage_lib.predict import Model, attribution, find_model, look_at_scan
    from brainage_lib.report import scan_page, scan_pdf

    imported = time.monotonic() - began, time.process_time()
    try:
        model = Model(find_model(run), "cpu")
        model.check()
    except UserError as error:
        print(f"left out: {error}")
        return
    mm = model.run.profile.grid_mm
    # Of the first and the second scan: seconds of the clock, of the processor, and GB.
    found: dict[str, list[tuple[float, float, float]]] = {
        "imports": [(*imported, peak_gb()), (0.0, 0.0, 0.0)]
    }

    def timed(step: str, function, *arguments, **keywords):
        forget_peak()
        start = time.monotonic(), time.process_time()
        result = function(*arguments, **keywords)
        took = time.monotonic() - start[0], time.process_time() - start[1]
        found.setdefault(step, []).append((*took, peak_gb()))
        return result

    with tempfile.TemporaryDirectory() as folder:
        path, state = Path(folder, "head.nii.gz"), "native-head"
        subprocess.run([sys.executable, "-c", HEAD, path, str(head_mm)], check=True)
        scan = {"scan_id": "head", "path": path.name, "t1w_state": state}
        for turn in ("first", "second"):
            cache = Path(folder, turn)
            timed("open, guess the state", lambda: guess_state(open_image(path)))
            timed("brain, bias field, affine", native_brain, path, state, cache)
            timed("grid, quality", prepare_scan, scan, folder, mm, str(cache), False)
            answer = timed("the same from the cache, AICBV, ages", look_at_scan, model, scan,
                           folder, cache=cache)  # fmt: skip
            maps = timed("attribution", attribution, model, answer)
            planes = timed("pictures", show.scan_planes, answer.t1w, grid(mm).affine,
                           answer.aicbv, maps)  # fmt: skip
            timed("page", scan_page, answer, planes)
            timed("PDF", scan_pdf, answer, planes)
    print(f"{'':38} {'clock':^17} {'processor':^17} {'share':>6} {'peak':>8}")
    print(f"{'step':38}{' first   second':>17}{' first   second':>18}   of the second")
    whole = sum(second[1] for _, second in found.values())
    for step, (first, second) in found.items():
        seconds = "".join(f" {value:7.1f}s" for column in (0, 1)
                          for value in (first[column], second[column]))  # fmt: skip
        print(f"{step:38}{seconds} {second[1] / whole:6.1%} {second[2]:6.2f}GB")
    sums = [
        sum(row[turn][column] for row in found.values()) for column in (0, 1) for turn in (0, 1)
    ]
    highest = max(row[1][2] for row in found.values())
    print(f"{'together':38}{''.join(f' {value:7.1f}s' for value in sums)} {'':6} {highest:6.2f}GB")


if __name__ == "__main__":
    given = dict(enumerate(sys.argv[1:]))
    main(given.get(0, "demo"), int(given.get(1, 2)))
