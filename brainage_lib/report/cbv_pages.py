"""Parts of the page on AICBV that are computed: what moves a T1w voxel, the shipped weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from brainage_lib.report.accuracy import NOT_YET, markdown_table

PREDICTORS = {
    "network": "AICBV",
    "tissue means": "tissue means",
    "T1w transform": "T1w transform",
    "ceiling": "ceiling",
}
"""Columns of a card's scores."""

MEASURES = {
    "spearman": "Spearman",
    "pearson": "Pearson",
    "concordance": "Lin's concordance",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "mae": "MAE (ml/100 ml)",
    "residual_r2": "R² within tissue",
}


def signal_table() -> str:
    """Write by how much blood and T1 move a voxel's signal, by sequence, and what follows.

    Returns
    -------
    str
        Markdown: a table and a paragraph.
    """
    from brainage_lib.train import cbv_signal

    lines = [
        "| Sequence | Per +1 ml/100 ml blood, GM | the same, WM | per +1 % T1, GM | the same, WM |",
        "| :-- | --: | --: | --: | --: |",
    ]
    for name, rows in cbv_signal.sensitivities().groupby("sequence", sort=False):
        values = [*rows["per_ml_percent"], *rows["per_t1_percent"]]
        lines.append(f"| {name} | {' | '.join(f'{_number(value)} %' for value in values)} |")
    found = cbv_signal.signal_spreads().set_index(["tissue", "cause"])
    blood, noise, t1 = (found.loc["grey matter", name] for name in ("blood volume", "noise", "T1"))
    curves = cbv_signal.blood_curves()
    white = found.loc["white matter"]["times_blood"]
    lines += [
        "",
        f"(GM grey matter, WM white matter.) For {cbv_signal.USUAL}: one standard deviation of "
        f"grey-matter blood volume, {cbv_signal.CBV_CV * cbv_signal.CBV_GREY:.1f} ml/100 ml, "
        f"changes the voxel by {blood['change_percent']:.2f} %. Noise at a signal-to-noise ratio "
        f"of {cbv_signal.SNR:.0f} changes it by {noise['change_percent']:.1f} %, a spread of "
        f"{100 * cbv_signal.T1_CV:.0f} % in T1 by {t1['change_percent']:.1f} %: "
        f"**{noise['times_blood']:.0f} and {t1['times_blood']:.0f} times more** (in white matter "
        f"{white['noise']:.0f} and {white['T1']:.0f} times). With gadolinium in the blood, the "
        f"same standard deviation moves it by {_with_contrast(curves):.1f} %: contrast agents help "
        "because they make blood differ from tissue. All this holds for slow exchange of water "
        "between blood and tissue; with fast exchange, blood shows "
        f"{cbv_signal.fast_exchange_times():.1f} times as much in grey matter.",
    ]
    return "\n".join(lines) + "\n"


def _with_contrast(curves) -> float:
    """Change of a grey-matter voxel from its mean blood volume to one SD above it, %."""
    line = curves[(curves["tissue"] == "grey matter") & curves["contrast"]]
    return float(line["change_percent"].iloc[3 * (len(line) - 1) // 4])


def shipped_cards() -> str:
    """Write the model card of each weights that come with the package.

    Returns
    -------
    str
        Markdown; one sentence where none are shipped.
    """
    from brainage_lib.models.shipped import shipped_card, shipped_grids, shipped_weights

    grids = shipped_grids()
    if not grids:
        return (
            "**No weights are shipped with this version.** A run trains its own, and "
            "`brainage cbv-train` makes some for a grid of your choice.\n"
        )
    parts = []
    for mm in grids:
        size = shipped_weights(mm).stat().st_size
        parts.append(_card(mm, size, shipped_card(mm)))
    return "\n".join(parts)


def _card(mm: int, size: int, card: Mapping[str, Any]) -> str:
    settings = card["settings"]
    facts = {
        "Network": f"{card['network']}, size {settings['size']}, orders {settings['orders']}: "
        f"{card['parameters']:,} parameters",
        "File": f"aicbv-{mm}mm.safetensors, {card['precision']}, {size / 1e6:.1f} MB, SHA-256 "
        f"{card['sha256'][:16]}…",
        "Learned from": f"{card['people']:,} {card['data']}, seed {card['seed']}",
        "Training": f"{settings['steps']:,} steps of {settings['batch']} patches of "
        f"{settings['patch']}³ voxels, learning rate {settings['learning_rate']:g}, "
        f"{settings.get('precision', 'float32')}, {card['training_seconds'] / 3600:.1f} h",
        "Grid": card["grid"],
        "Reads": card["input"],
        "Gives": card["output"],
        "Scored on": card["scored_on"],
        "Above the ceiling in what it bounds (R² beyond tissue)": "; ".join(card["above_ceiling"])
        or "nowhere",
        "Licence": card["licence"],
        "What it is not": " ".join(card["not_for"]),
    }
    lines = [f"### {mm} mm", "", "| What | These weights |", "| :-- | :-- |"]
    lines += [f"| {name} | {text} |" for name, text in facts.items()]
    lines += [
        "",
        f"| Mean over the scored people | {' | '.join(PREDICTORS.values())} |",
        f"| :-- |{' --: |' * len(PREDICTORS)}",
    ]
    for region, measures in card["scores"].items():
        for measure, label in MEASURES.items():
            if measure in measures:
                values = (_number(measures[measure].get(name)) for name in PREDICTORS)
                lines.append(f"| {region}: {label} | {' | '.join(values)} |")
    return "\n".join([*lines, ""])


def real_scans(folder: Path) -> str:
    """Write what the shipped weights say on real scans: tables of ``benchmarks/aicbv_real.py``.

    Parameters
    ----------
    folder : path
        ``book/recorded/aicbv``.

    Returns
    -------
    str
        Markdown; a sentence that says so where nothing is recorded.
    """
    names = ("contrast", "atlas", "repeats")
    if not all((folder / f"{name}.csv").is_file() for name in names):
        return NOT_YET
    contrast, atlas, repeats = (pd.read_csv(folder / f"{name}.csv") for name in names)
    (means,) = contrast.to_dict("records")
    found = atlas.set_index(["map", "region"])
    tissue = next(name for name in atlas["map"].unique() if name != "AICBV")
    compared = [
        (row["comparison"], int(row["n"]),
         *(_interval(row, name) for name in ("pearson", "spearman", "psnr", "ssim")))
        for row in repeats.to_dict("records")
    ]  # fmt: skip
    parts = [
        f"By the weights of {means['grid_mm']:g} mm on {means['n_participants']:g} controls of "
        f"OAS1 (MNI152 brains as delivered): grey matter {_interval(means, 'grey')}, white matter "
        f"{_interval(means, 'white')} ml/100 ml, ratio {_interval(means, 'ratio')} (in brackets "
        "95 % intervals over other people, here and below); published of pure tissue "
        f"{means['published_low']:g} to {means['published_high']:g}. A voxel that the template "
        "calls cortex also holds white matter and fluid in a real brain, which brings the ratio "
        "nearer to 1; how much of the distance that explains, nobody measured here. The simulator "
        "was given the published ratio: this asks how real T1w are read, not what blood they "
        "have.\n",
        f"Their mean map against an atlas of blood flow (arterial spin labelling), beside what the "
        f"{tissue} reaches without any T1w of these people:\n",
        markdown_table(
            ("Rank correlation over voxels", "AICBV", tissue, "Voxels"),
            [(row["region"], _interval(row, "spearman"),
              _number(found.loc[(tissue, row["region"]), "spearman"]), f"{row['n_voxels']:,}")
             for row in atlas[atlas["map"] == "AICBV"].to_dict("records")],
        ),
        "Within grey matter, where the paper seeks its blood volume, the ranks of the mean map "
        "agree with the atlas by "
        f"{_interval(found.loc[('AICBV', 'grey matter')].to_dict(), 'spearman')}. The intervals do "
        "not say how another atlas would come out.\n",
        "Two sessions of one person, and what was published of gadolinium and of a network "
        "like this one. A map that repeats shows that the anatomy repeats:\n",
        markdown_table(("Maps of", "People", "Pearson", "Spearman", "PSNR, dB", "SSIM"), compared),
        "Blood volume by gadolinium is at hand of three people, too few for a number here; "
        "`benchmarks/aicbv_real.py` prints it.\n",
    ]  # fmt: skip
    return "\n".join(parts)


def trained_ladder(folder: Path) -> str:
    """Write whether the control ladder finds blood where there is some: `benchmarks/ladder.py`.

    Parameters
    ----------
    folder : path
        ``book/recorded/ladder``.

    Returns
    -------
    str
        Markdown; a sentence that says so where nothing is recorded.
    """
    path = folder / "trained.csv"
    if not path.is_file():
        return NOT_YET
    table = pd.read_csv(path)
    cohorts = table.groupby(["size", "seed"], sort=False)
    beyond = table.set_index("rung")["gain_over_second_look_low"] > 0
    words = {"T + A": "AICBV", "T + B": "the true blood volume", "T + M": "tissue maps",
             "T + P": "a planted signal"}  # fmt: skip
    told = "; ".join(
        f"{name} in {int(beyond.loc[[rung]].sum())} of {len(cohorts)}"
        for rung, name in words.items()
    )
    alike = table[table["rung"] == "T + A"]
    apart = (alike["gain_over_second_look_low"] > 0) | (alike["gain_over_second_look_high"] < 0)
    again = table.loc[table["rung"] == "T + T′", "gain_over_t"]
    rows = [
        (
            row["size"], row["seed"], f"{row['rung']}: {row['second']}", row["n_scans"],
            _interval(row, "mae"),
            *("–" if math.isnan(row[gain]) else _interval(row, gain)
              for gain in ("gain_over_t", "gain_over_second_look")),
        )
        for row in table.to_dict("records")
    ]  # fmt: skip
    heads = ("People", "Seed", "Rung", "Tested", "MAE, years", "Gain over T", "Gain over T + T′")
    return (
        f"Networks of the paper's recipe, trained for {table['epochs'].iloc[0]} epochs in two "
        f"folds, on {len(cohorts)} cohorts of simulated people (`benchmarks/ladder.py`). A gain "
        f"over T + T′ whose interval leaves out 0: {told}. No T1w holds the true blood volume, "
        f"which no scan of a real person comes with. T + T′ itself gains {_number(again.min())} to "
        f"{_number(again.max())} years over T: what one fold teaches of how to weigh two networks "
        "need not fit the networks of the other, the less so the fewer people they learned from. "
        "Intervals hold the luck of who is tested, and not that of training: T + A and T + T′, of "
        f"which neither knows more than the T1w, differ beyond theirs in {int(apart.sum())} of "
        f"{len(alike)}.\n\n" + markdown_table(heads, rows)
    )


def _interval(row: Mapping[str, float], name: str) -> str:
    """Write a number of a row with its interval, where the row has one."""
    ends = [row.get(f"{name}{end}", math.nan) for end in ("_low", "_high")]
    if any(map(math.isnan, ends)):
        return _number(row[name])
    return f"{_number(row[name])} ({_number(ends[0])} to {_number(ends[1])})"


def _number(value: float | None) -> str:
    # No sign before a zero.
    return "—" if value is None else f"{value:z.2f}".replace("-", "−")
