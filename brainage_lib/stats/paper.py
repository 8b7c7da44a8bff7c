"""The paper's printed numbers as tables, so that no page and no finding types them again.

Jomsky, Li, Zhang, Nuriel, Guo: *Enhancing Brain Age Estimation with a Multimodal 3D CNN
Approach Combining Structural MRI and AI-Synthesized Cerebral Blood Volume Data*.
"""

from __future__ import annotations

from importlib.resources import files

import pandas as pd

from brainage_lib.tables import MODELS

ROUNDING = {"mae": 0.005, "mse": 0.005, "r2": 0.0005}
"""Half of the last printed digit: a printed number stands for ± this much."""


def paper_table1() -> pd.DataFrame:
    """Give Table 1: model, n_scans, mae (years), mse (years²), r2, on the test scans."""
    table = _read("table1")
    table.insert(1, "n_scans", int(paper_numbers().loc["n_test", "value"]))
    return table


def paper_anova() -> pd.DataFrame:
    """Give the ANOVA of Table 1: smaller, larger, p (2.2e-16 stands for "below"), printed."""
    return _read("anova")


def paper_coefficients() -> pd.DataFrame:
    """Give the one coefficient that is printed: model, term, estimate (years), p."""
    values = paper_numbers()["value"]
    return pd.DataFrame(
        {
            "model": ["TAS"],
            "term": ["sex"],
            "estimate": [float(values["sex_coefficient"])],
            "p": [float(values["sex_p"])],
        }
    )


def paper_table2() -> pd.DataFrame:
    """Give Table 2, long: age_group (as ``AGE_GROUPS``), model, mae (years).

    The paper prints TAS as "TAG" here.
    """
    return _long("table2", "age_group")


def paper_table3() -> pd.DataFrame:
    """Give Table 3, long: project, model, mae (years), in the paper's order."""
    return _long("table3", "project")


def paper_numbers() -> pd.DataFrame:
    """Give the numbers of the text, indexed by name: value, unit, source, meaning.

    Examples
    --------
    >>> float(paper_numbers().loc["sex_coefficient", "value"])
    -0.168
    """
    return _read("numbers").set_index("name")


def paper_claims() -> pd.DataFrame:
    """Give the claims of the text in our words, indexed by name: section, claim."""
    return _read("claims").set_index("name")


def _read(name: str) -> pd.DataFrame:
    source = files("brainage_lib.stats").joinpath("paper_data", f"{name}.csv")
    with source.open(encoding="utf-8") as stream:
        return pd.read_csv(stream, keep_default_na=False)


def _long(name: str, group: str) -> pd.DataFrame:
    wide = _read(name)
    rows = wide.melt(id_vars=group, value_vars=list(MODELS), var_name="model", value_name="mae")
    order = {label: place for place, label in enumerate(wide[group])}
    return rows.sort_values(
        group, key=lambda column: column.map(order), kind="stable", ignore_index=True
    )
