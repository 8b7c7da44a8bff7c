"""The page of one scan, and the page of a batch: one file each, which asks no one for anything."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from brainage_lib.predict import Prediction
from brainage_lib.predict.prediction import NOT_CLINICAL

TEMPLATES = Path(__file__).with_name("templates")

HEADINGS = {
    "done": "Predicted",
    "refused": "Refused by quality",
    "unusable": "Put aside: cannot be used",
    "failed": "Failed; the next start tries again",
}

MEASURES = {
    "brain_ml": (
        "Brain in MNI152 space, where each is about as large as the template",
        "{:.0f} ml",
    ),
    "contrast": ("Grey over white matter, brightness", "{:.2f}"),
    "snr": ("White matter over its noise", "{:.0f}"),
    "template_correlation": ("Correlation with the template", "{:.2f}"),
    "edge_fraction": ("Share of the inner brain that is empty", "{:.1%}"),
    "turn_degrees": ("Turned against the template, in steps of 10", "{:.0f} degrees"),
}
"""Words and format of the quality measures."""


class Planes(Protocol):
    """A picture with its words: `show.Picture` has these fields."""

    title: str
    caption: str
    alt: str
    png: bytes


class Turnable(Protocol):
    """A viewer with all that it needs: `show.Viewer` has these fields."""

    scripts: tuple[str, ...]

    def html(self) -> str:
        """Return what goes into the page."""


@cache
def _environment() -> Environment:
    # Everything that is put in is escaped: a name in a manifest is text, whatever it holds.
    return Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
        trim_blocks=False,
    )  # fmt: skip


def _style() -> Markup:
    return Markup((TEMPLATES / "style.css").read_text(encoding="utf-8"))


def scan_page(
    found: Prediction,
    planes: Planes | None = None,
    ages_svg: bytes | None = None,
    viewer: Turnable | None = None,
) -> str:
    """Write the page of one scan.

    Parameters
    ----------
    found : Prediction
    planes : Picture, optional
        Of `show.scan_planes`.
    ages_svg : bytes, optional
        Of `show.age_among`.
    viewer : Viewer, optional
        Of `show.brain_viewer` without a folder: one that holds everything.

    Returns
    -------
    str
        HTML with everything inside; a policy in its head forbids any request, and any code but
        the viewer's own.
    """
    return _environment().get_template("scan.html").render(
        result=found.json(),
        lines=found.lines(),
        methods=methods(found),
        measures=_measures(found),
        not_clinical=NOT_CLINICAL,
        style=_style(),
        # Nothing in it comes from outside.
        policy=Markup(_policy(viewer)),
        viewer=viewer and Markup(viewer.html()),
        planes=planes,
        planes_png=planes and _inline("image/png", planes.png),
        ages_svg=ages_svg and _inline("image/svg+xml", ages_svg),
    )  # fmt: skip


def _measures(found: Prediction) -> list[tuple[str, str]]:
    return [
        (MEASURES[name][0], MEASURES[name][1].format(value) if np.isfinite(value) else "–")
        for name, value in found.measures.items()
    ]


def _policy(viewer: Turnable | None) -> str:
    """Say what a browser may do with the page: code runs only if its digest is named here."""
    rules = ["default-src 'none'", "img-src data:", "style-src 'unsafe-inline'"]
    if viewer is not None and viewer.scripts:
        digests = [hashlib.sha256(code.encode()).digest() for code in viewer.scripts]
        named = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
        rules.append(f"script-src {named}")
    return "; ".join(rules)


def _inline(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def methods(found: Prediction) -> str:
    """Write the paragraph for a methods section, from what was done."""
    tools = ", ".join(f"{step['name']} ({step['tool']} {step['version']})" for step in found.steps)
    asked, version = found.asked, found.versions.get("brainage", "")
    prepared = f"by these steps: {tools}" if tools else "which it already was"
    text = (
        f"The T1-weighted scan was brought to MNI152 space, {prepared}; resampled to "
        f"{asked['grid_mm']} mm and divided by the mean of its top 1 %. Age was predicted by Brain "
        f"Age {version} (recipe {asked['recipe']}, {asked['mode']} mode, networks of "
        f"{asked['folds']} folds averaged; trained on {asked['n_scans']} {asked['source']}; model "
        f"{asked['sha256'][:12]}): {_networks(asked)}"
    )
    if found.model == "TAS":
        text += " with sex"
    if found.level is not None:
        text += (
            f". The interval is split conformal at {100 * found.level:.0f} %, from controls "
            "predicted out of fold"
        )
    if found.gap_corrected is not None:
        text += ". The corrected gap is less the mean gap of controls of that age"
    return text + "."


def _networks(asked: Mapping[str, Any]) -> str:
    """Say what the networks read, and how one number comes of it."""
    first = "the T1w"
    if asked["reads"] == "tissue":
        first = "maps of grey matter, white matter and fluid that are made from the T1w"
    if asked["nets"] == ["T"]:
        return f"the network reads {first}, and a linear regression rescales what it says"
    return (
        f"one network reads {first}, one a blood-volume map synthesised from the T1w (AICBV), and "
        "a linear regression combines them"
    )


def group_page(results: Sequence[Mapping[str, Any]], links: Mapping[str, str]) -> str:
    """Write the page of a batch.

    Parameters
    ----------
    results : sequence of dict
        As `Prediction.json` gives them.
    links : mapping of scan_id to str
        Where the scan's own page lies, relative to this one; those without are not linked.

    Returns
    -------
    str
        HTML.
    """
    counts = Counter(result["status"] for result in results)
    addressed = {name: quote(link) for name, link in links.items()}
    return _environment().get_template("group.html").render(
        results=results,
        counts={name: counts[name] for name in HEADINGS if counts[name]},
        groups=[
            (
                heading,
                [(r, addressed.get(r["scan_id"])) for r in results if r["status"] == status],
            )
            for status, heading in HEADINGS.items()
        ],
        error=_errors(results),
        not_clinical=NOT_CLINICAL,
        style=_style(),
    )  # fmt: skip


def _errors(results: Sequence[Mapping[str, Any]]) -> dict[str, float] | None:
    known = [result for result in results if result["gap_raw"] is not None]
    if not known:
        return None
    gaps = np.array([result["gap_raw"] for result in known])
    around = [r for r in known if r["interval"] is not None]
    covered = sum(r["interval"][0] <= r["age"] <= r["interval"][1] for r in around)
    return {
        "n": len(known),
        "mae": float(np.abs(gaps).mean()),
        "gap": float(gaps.mean()),
        "covered": covered,
        "intervals": len(around),
    }
