"""What is said about one scan, and how it is written into a table, a file and a notebook."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from brainage_lib.data.volumes import SEPARATOR
from brainage_lib.tables import BATCH

BATCH_COLUMNS = tuple(BATCH.columns)

NOT_CLINICAL = (
    "Brain age is a statistical guess of a person's age from a picture of the brain. It is no "
    "diagnosis and no measure of health: the gap to the true age holds the model's own error, the "
    "scanner and head movement beside anything about the person. Not for clinical use."
)


@dataclass(frozen=True)
class Prediction:
    """What the networks say about one scan. Not for clinical use.

    Attributes
    ----------
    scan_id : str
    predicted_age : float or None
        Years; None if the scan was refused or could not be used (verdict "drop").
    interval_low, interval_high : float or None
        Around it, with the probability ``level``; None where it cannot be known.
    gap_raw : float or None
        Predicted less true age in years; None without an age.
    gap_corrected : float or None
        Less the mean gap of controls of that age.
    verdict : {"keep", "look", "drop"}
    reasons : tuple of str
        Why the verdict is not "keep".
    warnings : tuple of str
        What a reader of the number must know.
    model : {"TAS", "TA", "T"} or None
        The stacking: TA where the sex is not known; T where there is no net A.
    networks : dict of {"T", "A"} to float
        Years, before stacking; means over the networks that were asked.
    level : float or None
        Share of intervals that contain the true age, among scans like the run's.
    t1w, aicbv : (x, y, z) array of float32 or None
        Normalised T1w, and blood volume in ml/100 ml, on the networks' grid; no blood volume
        where no net reads it.
    tissue : (3, x, y, z) array of float32 or None
        Grey matter, white matter and fluid in the box about the brain, where T reads them.
    age, sex
        As they were given; None if not.
    measures : dict of str to float
        Of the image (`measure_quality`).
    t1w_state : str or None
        How the image was taken to have come.
    assumed : str or None
        What the state was guessed from; None if it was said.
    image : dict
        ``sha256`` of the file, ``voxel_mm``, ``shape``; nothing else of its header.
    asked : dict
        The networks (`Model.facts`).
    versions : dict of str to str
        Of this library and those that decide the number.
    steps : tuple of dict
        What preprocessing did: name, tool, version, settings.
    """

    scan_id: str
    predicted_age: float | None
    interval_low: float | None
    interval_high: float | None
    gap_raw: float | None
    gap_corrected: float | None
    verdict: str
    reasons: tuple[str, ...]
    warnings: tuple[str, ...]
    model: str | None
    networks: dict[str, float]
    level: float | None
    t1w: np.ndarray | None = field(repr=False)
    aicbv: np.ndarray | None = field(repr=False)
    age: float | None = None
    sex: str | None = None
    measures: dict[str, float] = field(default_factory=dict, repr=False)
    t1w_state: str | None = None
    assumed: str | None = None
    image: dict[str, Any] = field(default_factory=dict, repr=False)
    asked: dict[str, Any] = field(default_factory=dict, repr=False)
    versions: dict[str, str] = field(default_factory=dict, repr=False)
    steps: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    tissue: np.ndarray | None = field(default=None, repr=False)

    @property
    def status(self) -> str:
        """One of done, refused (by quality), unusable (no picture could be had of it)."""
        if self.predicted_age is not None:
            return "done"
        return "refused" if self.measures else "unusable"

    def row(self) -> dict[str, Any]:
        """Return the line of a batch table; reasons and warnings become texts."""
        values = {name: getattr(self, name) for name in BATCH_COLUMNS}
        for name in ("reasons", "warnings"):
            values[name] = SEPARATOR.join(values[name])
        return values

    def json(self) -> dict[str, Any]:
        """Return everything but volumes as JSON values: always these keys, None if unknown."""
        known = self.interval_low is not None
        return {
            "scan_id": self.scan_id,
            "status": self.status,
            "predicted_age": self.predicted_age,
            "interval": [self.interval_low, self.interval_high] if known else None,
            "level": self.level,
            "gap_raw": self.gap_raw,
            "gap_corrected": self.gap_corrected,
            "age": self.age,
            "sex": self.sex,
            "stacking": self.model,
            "networks": {net: self.networks.get(net) for net in ("T", "A")},
            "quality": {
                "verdict": self.verdict,
                "reasons": list(self.reasons),
                "measures": {
                    name: float(value) if np.isfinite(value) else None
                    for name, value in self.measures.items()
                },
            },
            "warnings": list(self.warnings),
            "t1w_state": self.t1w_state,
            "t1w_state_assumed": self.assumed,
            "image": {name: self.image.get(name) for name in ("sha256", "voxel_mm", "shape")},
            "model": self.asked,
            "steps": list(self.steps),
            "versions": self.versions,
        }

    def lines(self) -> list[tuple[str, str]]:
        """Return what matters as pairs of a label and a text, for a terminal or a page."""
        if self.predicted_age is None:
            word = "refused" if self.status == "refused" else "could not be used"
            return [("Result", f"{word}: {SEPARATOR.join(self.reasons)}")]
        stacking = {
            "TAS": "T1w, AICBV and sex", "TA": "T1w and AICBV, without sex", "T": "T1w",
        }[self.model]  # fmt: skip
        around = "not known"
        if self.interval_low is not None:
            ends = f"{self.interval_low:.1f} to {self.interval_high:.1f} years"
            around = f"{ends} ({100 * self.level:.0f} % of such intervals hold the true age)"
        rows = [("Predicted age", f"{self.predicted_age:.1f} years, from {stacking}"),
                ("Interval", around)]  # fmt: skip
        if self.gap_raw is not None:
            gap = f"{_signed(self.gap_raw)} years (predicted less true age, {self.age:g})"
            rows.append(("Gap", gap))
        if self.gap_corrected is not None:
            corrected = f"{_signed(self.gap_corrected)} years (less the mean gap at that age)"
            rows.append(("Corrected gap", corrected))
        rows.append(("Image", SEPARATOR.join([self.verdict, *self.reasons])))
        rows += [("Warning", warning) for warning in self.warnings]
        return rows

    def _repr_html_(self) -> str:
        body = "".join(
            f'<tr><th scope="row" style="text-align:left">{html.escape(label)}</th>'
            f'<td style="text-align:left">{html.escape(text)}</td></tr>'
            for label, text in self.lines()
        )
        return (
            f"<table><caption>{html.escape(self.scan_id)}</caption><tbody>{body}</tbody></table>"
            f"<p><small>{html.escape(NOT_CLINICAL)}</small></p>"
        )


def _signed(years: float) -> str:
    return f"{years:+.1f}".replace("-", "−")
