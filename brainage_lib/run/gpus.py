"""How many GPUs there are, without loading what uses them."""

from __future__ import annotations

import os
import subprocess


def count_gpus() -> int:
    """Count the CUDA devices that a process started here may use.

    Returns
    -------
    int
        What ``CUDA_VISIBLE_DEVICES`` lists if it is set, else what ``nvidia-smi`` lists; 0
        where there is no driver.
    """
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return len([name for name in visible.split(",") if name.strip() not in ("", "-1")])
    try:
        listed = subprocess.run(
            ["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    return sum(line.startswith("GPU ") for line in listed.stdout.splitlines())
