"""A run without a book: from a manifest to networks on T1w alone, with what prediction needs."""

from __future__ import annotations

import pandas as pd

from brainage_lib.data import prepare_volumes, write_manifest, write_reference, write_splits
from brainage_lib.errors import WrongUsage
from brainage_lib.run import Run
from brainage_lib.stats import (
    save_calibration_json,
    save_model_json,
    stack,
    table1,
    table2,
    table3,
)
from brainage_lib.tables import TABLE1, TABLE2, TABLE3, read_table, write_table
from brainage_lib.train.cohort import fit_networks, predict_networks

NETS = ["T"]


def train_alone(run: Run) -> pd.DataFrame:
    """Prepare, split, train, predict out of fold and calibrate; what is up to date is left alone.

    Parameters
    ----------
    run : Run
        Its profile has the mode "sound" and the net T alone. Nothing of it needs a generator.

    Returns
    -------
    DataFrame
        Schema ``TABLE1``: out-of-fold errors of each recipe after the regression, with
        intervals. Also written, with the tables by age and by project, to where the chapters
        write theirs.

    Raises
    ------
    WrongUsage
        The profile asks for more than T out of fold.
    BadInput
        The manifest cannot be used, or leaks.
    """
    profile = run.profile
    if profile.modes != ["sound"] or profile.nets != NETS:
        raise WrongUsage(
            f"profile {profile.name}: networks without a book are trained with modes: [sound] and "
            f"nets: [T]; it has modes: {profile.modes} and nets: {profile.nets}"
        )
    write_manifest(run)
    prepare_volumes(run)
    write_splits(run)
    fit_networks(run)
    stacked = stack(predict_networks(run), models=NETS)
    resampling = {"replicates": profile.bootstrap, "seed": profile.seed}
    tables = (
        (table1, TABLE1, ("stacking", "table1.csv")),
        (table2, TABLE2, ("table2.csv",)),
        (table3, TABLE3, ("table3.csv",)),
    )
    for make, schema, place in tables:
        write_table(make(stacked, **resampling), run.path(*place), schema)
    save_model_json(stacked, run.path("stacking", "model.json"))
    save_calibration_json(stacked, run.path("stacking", "calibration.json"))
    write_reference(run)
    return read_table(run.path(*tables[0][2]), TABLE1)
