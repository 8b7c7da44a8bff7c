"""Brains that one can turn in the page: mean volumes of groups, with maps over them, by niivue.

The volumes lie beside the page as scripts and are loaded when they are looked at, so that the page
stays light, and works without a server too.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd

from brainage_lib.files import write_text
from brainage_lib.show.page import Shown, captioned
from brainage_lib.show.words import count

FEW = 10
"""Groups of fewer are marked; of real scans no mean of fewer is shown."""

BASE = "../_static/"
"""Where niivue and the volumes lie, seen from a chapter's page."""

VIEWER_STYLE = """<style>
.brain-viewer [data-part=stage]{position:relative;background:#000;border-radius:.3em;
height:min(60vh,420px);min-height:260px;overflow:hidden}
.brain-viewer [data-part=stage][hidden],.brain-viewer [hidden]{display:none!important}
.brain-viewer canvas{width:100%;height:100%;display:block;touch-action:none}
.brain-viewer canvas:focus-visible,.brain-viewer button:focus-visible,
.brain-viewer select:focus-visible,.brain-viewer input:focus-visible{outline:3px solid #56B4E9;
outline-offset:2px}
.brain-viewer [data-part=tools]{display:flex;flex-wrap:wrap;gap:.5em 1.2em;margin:0 0 .6em;
font-size:.875em;align-items:center}
.brain-viewer label{display:flex;gap:.4em;align-items:center;margin:0;min-width:0}
.brain-viewer input[type=range]{width:9em;min-width:4em}
.brain-viewer button,.brain-viewer select{font:inherit;color:inherit;background:transparent;
border:1px solid currentColor;border-radius:.3em;padding:.3em .7em;min-height:2.2em;max-width:100%}
.brain-viewer select option{color:#111;background:#fff}
.brain-viewer [data-part=says]{min-height:1.5em;font-size:.875em;
font-variant-numeric:tabular-nums;margin:.4em 0 0}
@media print{.shown-viewer{display:none}}
</style>"""


@dataclass(frozen=True, repr=False)
class Viewer(Shown):
    """A viewer with its words; the numbers are what each group has.

    Attributes
    ----------
    groups : list of dict
        label, n, few, and ``volumes``: file names by what they show.
    unders, overs : dict
        What can be chosen as ground, and as map over it: key to words.
    threshold : int
        In percent of the largest value, at the beginning.
    volumes : dict of str to str
        Volumes that the page holds in itself, by file name: compressed NIfTI in base64. The
        page then holds niivue, too, and needs no file beside it; empty where they lie there.
    """

    groups: list[dict] = field(default_factory=list)
    unders: dict[str, str] = field(default_factory=dict)
    overs: dict[str, str] = field(default_factory=dict)
    threshold: int = 50
    volumes: dict[str, str] = field(default_factory=dict)

    @property
    def scripts(self) -> tuple[str, ...]:
        """All code that runs in a page that holds everything, for its policy."""
        if not self.groups:
            return ()
        return _own_code(), *([gzip.decompress(_niivue()).decode()] if self.volumes else [])

    def html(self) -> str:
        """Return the viewer; without scripts it says where its numbers are."""
        if not self.groups:
            return self._figure('<p class="shown-note">No group is large enough to be shown.</p>')
        facts = json.dumps({"base": BASE, "groups": self.groups}, ensure_ascii=False)
        size = "" if self.volumes else " (1 MB is loaded)"
        body = (
            f'<div class="brain-viewer"><script type="application/json">'
            f"{facts.replace('<', chr(92) + 'u003c')}</script>"
            f'{self._inside()}<p hidden><button type="button" data-part="start">Open the viewer'
            f"{size}</button></p>"
            f'<div data-part="tools" hidden>{self._tools()}</div>'
            '<div data-part="stage" hidden><canvas data-part="canvas" tabindex="0" '
            f'role="application" aria-label="{html.escape(self.alt)} Arrow keys move left, right, '
            "front and back, Page Up and Page Down move up and down; in the solid view they turn "
            'the head."></canvas></div><p data-part="says" role="status"></p></div>'
            "<noscript>The viewer needs JavaScript.</noscript>"
        )
        return VIEWER_STYLE + self._figure(body).replace(
            'class="shown"', 'class="shown shown-viewer"', 1
        ).replace("</figure>", f"<script>{_own_code()}</script></figure>")

    def _inside(self) -> str:
        """Blocks of data with what other pages have beside them."""
        if not self.volumes:
            return ""
        niivue = base64.b64encode(_niivue()).decode()
        # Its licence goes where it goes.
        terms = (
            files("brainage_lib.show").joinpath("niivue.LICENSE.txt").read_text(encoding="utf-8")
        )
        return (
            f'<script type="application/json" data-part="volumes">{json.dumps(self.volumes)}'
            f'</script><script type="text/plain">{terms}</script>'
            f'<script type="text/plain" data-part="niivue">{niivue}</script>'
        )

    def _tools(self) -> str:
        last = len(self.groups) - 1
        views = {
            "planes": "three planes", "axial": "axial", "coronal": "coronal",
            "sagittal": "sagittal", "solid": "solid",
        }  # fmt: skip
        return "".join(
            [
                _slider("Group", "group", last, 1, 0, hidden=last == 0),
                _select("Ground", "under", self.unders),
                _select("Map", "over", {**self.overs, "none": "none"}, hidden=not self.overs),
                _slider("Threshold", "threshold", 95, 5, self.threshold, hidden=not self.overs),
                _select("View", "view", views),
            ]
        )


@cache
def _own_code() -> str:
    return files("brainage_lib.show").joinpath("viewer.js").read_text(encoding="utf-8")


@cache
def _niivue() -> bytes:
    """Read niivue, compressed; a test holds it against the file that npm brings."""
    return files("brainage_lib.show").joinpath("niivue.umd.js.gz").read_bytes()


def _slider(label: str, part: str, last: int, step: int, value: int, *, hidden: bool) -> str:
    return (
        f'<label{" hidden" * hidden}>{label} <input type="range" data-part="{part}" min="0" '
        f'max="{last}" step="{step}" value="{value}"><output data-part="{part}-out"></output>'
        "</label>"
    )


def _select(label: str, part: str, choices: Mapping[str, str], *, hidden: bool = False) -> str:
    options = "".join(
        f'<option value="{html.escape(key)}">{html.escape(words)}</option>'
        for key, words in choices.items()
    )
    return (
        f'<label{" hidden" * hidden}>{label} <select data-part="{part}">{options}</select></label>'
    )


def brain_viewer(
    grounds: Mapping[str, Mapping[str, np.ndarray]],
    maps: Mapping[str, Mapping[str, np.ndarray]],
    sizes: Mapping[str, int],
    affine: np.ndarray,
    *,
    folder: Path | None,
    words: Mapping[str, str],
    source: str,
    small_groups: bool,
    resolutions: Sequence[str] = (),
    name: str = "viewer",
) -> Viewer:
    """Lay out volumes for a viewer, and show it.

    Parameters
    ----------
    grounds : mapping of kind to mapping of group to (x, y, z) array
        ``t1w``, ``cbv``: what maps lie on.
    maps : mapping of kind to mapping of group to (x, y, z) array, >= 0
        Each is shown in units of its largest value.
    sizes : mapping of group to int
        Scans of each group, in the order in which they are shown.
    affine : (4, 4) array
        Of all volumes.
    folder : Path or None
        Where the volumes are written; the pages are built with what lies there. With None the
        viewer holds them, and niivue, in itself: for a page that is one file.
    words : mapping of kind to str
        What the reader calls each ground and map.
    source : str
    small_groups : bool
        Whether groups of fewer than ten are laid out too: simulated scans, or the single one
        that a page is about. Of real people they are left out.
    resolutions : sequence of str
        How finely the maps can see, for the caption.
    name : str
        Begins the file names.
    """
    groups, rows, held = [], [], {}
    for label, n in sizes.items():
        if n < FEW and not small_groups:
            continue
        volumes = {}
        for kind, of_groups in (*grounds.items(), *maps.items()):
            if label not in of_groups:
                continue
            volume = np.asarray(of_groups[label], np.float32)
            if kind in maps:
                volume = volume / max(float(volume.max()), 1e-12)
            file = f"{name}-{kind}-{label}".replace("–", "-").replace(" ", "-")
            code = _packed(volume, affine)
            if folder is None:
                held[file] = code
            else:
                text = f'(window.brainageVolumes=window.brainageVolumes||{{}})["{file}"]="{code}";'
                write_text(folder / f"{file}.js", f"{text}\n")
            volumes[kind] = file
            rows.append({"group": label, "n_scans": n, "volume": words[kind], "bytes": len(code)})
        groups.append({"label": label, "n": n, "few": n < FEW, "volumes": volumes})
    total = sum(group["n"] for group in groups)
    finely = f" Maps see {'; '.join(resolutions)}." if resolutions else ""
    left_out = "" if small_groups else " Groups of fewer than ten scans are left out."
    one = total == 1
    what = (
        "The volumes of one scan and, over them, maps"
        if one
        else ("Mean volumes of each group and, over them, mean maps")
    )
    grouped = "" if one else f": {count(len(groups), 'group')}, n = {count(total, 'scan')}"
    return Viewer(
        f"Turn it yourself{grouped}",
        captioned(
            f"{what} in units of their largest value; only what is above the threshold is drawn. "
            f"n = {count(total, 'scan')}.{left_out}{finely}",
            source,
        ),
        "Brain volumes in three planes with a map over them; letters mark left and right, front "
        "and back, top and bottom.",
        pd.DataFrame(rows, columns=["group", "n_scans", "volume", "bytes"]),
        name,
        groups,
        {kind: words[kind] for kind in grounds},
        {kind: words[kind] for kind in maps},
        volumes=held,
    )


def _packed(volume: np.ndarray, affine: np.ndarray) -> str:
    """Write a volume in steps of 1/255 of its range, compressed, in base64."""
    img = nib.Nifti1Image(volume, affine)
    img.set_data_dtype(np.uint8)
    img.header.set_xyzt_units("mm")
    return base64.b64encode(gzip.compress(img.to_bytes(), mtime=0)).decode()
