# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: brainage
#     language: python
#     name: brainage
# ---

# %% [markdown]
# # 9 · Is it blood, or a second look at T1w?
#
# **Question.** AICBV is computed from the T1w. Does it lower the error by more than any other second network would?
#
# **Answer.** {glue:text}`verdict:`. {glue:text}`rungs:`. {glue:text}`recorded:`.

# %% tags=["parameters"]
run = "demo"
profile = "demo"

# %%
import pandas as pd

from brainage_lib import show, stats
from brainage_lib.run import open_chapter, trained_pairs
from brainage_lib.tables import (
    FALSE_ALARMS,
    LADDER,
    LADDER_NULL,
    PREDICTIONS,
    Recorded,
    choose,
    read_table,
    write_table,
)

chapter = open_chapter("09_does_cbv_help", run=run, profile=profile)
run, settings = chapter.run, chapter.run.profile
main = {"recipe": settings.headline["recipe"], "mode": settings.headline["mode"]}
predictions = read_table(run.path("predictions.csv"), PREDICTIONS)
recorded = Recorded(run.path("recorded"))
kind = recorded.kind(settings.headline)
real = recorded.table("ladder", **kind) if kind else None

# %% [markdown]
# ## A ladder of controls
#
# The mean of two noisy guesses is less noisy than one. A second network therefore helps whenever its errors are not those of the first, whatever it looks at. So AICBV has to compete: each rung stacks T with one second network, by the same regression and on the same people.
#
# | Rung | What the second network looks at | What it tells |
# | --- | --- | --- |
# | T | nothing | where we start |
# | T + A | AICBV | the paper's TA |
# | T + T′ | the same T1w; only the seed of its training differs | what a second look is worth |
# | T + F | a fixed transform of the T1w | what another contrast of the same image is worth |
# | T + M | tissue maps made from the T1w | what anatomy in another form is worth |
# | T + X | A, with what it has beyond T exchanged between people | must bring nothing |
# | T + P | the true age with errors of its own, as large as A's | must be found |
#
# A gain counts for blood only beyond T + T′ and T + M.

# %%
ladder = pd.concat(
    [
        stats.ladder(predictions, recipe, mode, settings.bootstrap, settings.seed)
        for recipe, mode in trained_pairs(settings)
    ],
    ignore_index=True,
)
write_table(ladder, run.path("cbv", "ladder.csv"), LADDER)
rungs = choose(ladder, **main)
computed = rungs["status"] == "computed"
for row in rungs[~computed].itertuples():
    print(f"{row.rung} ({row.second}) {row.status}")

# %%
show.differences(stats.ladder_differences(rungs), source=run.source, name="ladder_gains")

# %%
show.three_columns(
    stats.paper_ladder(),
    None if real is None else real.assign(n_scans=real["n_scans"].where(real["mae"].notna())),
    rungs.assign(n_scans=rungs["n_scans"].where(computed)),
    by={"rung": "Rung"},
    measures={
        "mae": show.Measure("MAE", "years"),
        "gain_over_t": show.Measure("Gain over T", "years"),
        "gain_over_second_look": show.Measure("Gain over T + T′", "years"),
        "gain_over_tissue": show.Measure("Gain over T + M", "years"),
        "error_correlation": show.Measure("Correlation with errors of T"),
    },
    title="MAE, years: "
    + show.listed([f"{row.rung} {show.number(row.mae)}" for row in rungs[computed].itertuples()]),
    caption="Every rung is T with one second network. Gain: MAE of the other minus MAE of the rung. X and P are means of ten draws",
    source=run.source,
    name="ladder",
)

# %% [markdown]
# ## What the paper says
#
# That AICBV is "an additional covariate" which a network on T1w could not replicate. Its printed errors tell how alike the errors of T and A were, and how unlike the errors of two T networks would have to be for the same gain. No such control was run.

# %%
findings = stats.ledger()
show.ledger_table(findings[findings["id"].isin([17, 18])], source="the paper's printed numbers")

# %% [markdown]
# What we see stands above: compare the correlation of A's errors with those of T and, where it was run, of T′. The lower it is, the larger the gain, whatever the network looks at.
#
# ## The same in each mode
#
# In paper mode the regression is fitted on rows that the networks have memorised, and the gain is that of the chosen test partition.

# %%
fits = choose(ladder, rung="T + A")
fits["fit"] = fits["recipe"] + ", " + fits["mode"] + ", " + fits["fitted_on"]
show.table(
    fits,
    by={"fit": "Recipe, mode, fitted on"},
    columns={
        "n_scans": show.Measure("n", digits=0),
        "gain_over_t": show.Measure("Gain of T + A over T", "years"),
        "gain_over_t_p_holm": show.Measure("p, Holm", p=True),
    },
    title="The gain by AICBV: "
    + show.listed(
        [f"{show.number(row.gain_over_t)} years ({row.mode})" for row in fits.itertuples()]
    ),
    caption="MAE of T minus MAE of T + A, 95 % interval; n counts test scans",
    source=run.source,
    name="ladder_fits",
)

# %% [markdown]
# ## What would have been found
#
# That nothing is found means little where little could be. So signals of graded size are planted beside T: the true age with errors just large enough that T and the signal together err less by the wanted share. People are drawn anew 400 times, and each time the interval of the gain must leave zero out. The first line plants mere noise. This is a simulation on the errors of this run's networks; no network is trained for it.

# %%
power = stats.power(predictions, **main, seed=settings.seed)
power["label"] = power["gain"].map(show.number) + " years over " + power["over"]
show.intervals(
    power,
    label="label",
    value="power",
    low="power_low",
    high="power_high",
    axis="share of trials that find the gain",
    reference=0.8,
    title=stats.detectable_sentence(power),
    caption="Dashed: a power of 80 %",
    source=run.source,
    name="power",
)

# %% [markdown]
# ## How often these tests are wrong
#
# Where the truth is known, one can count. Two thousand tables of predictions are simulated with the errors of this run's networks: their sizes, their lines over age, their correlation. In the first, AICBV is one more look of the kind of T′, so that the interval of the difference should cover zero in 95 of 100 tables. It takes the regression's coefficients as they are. With two folds they are fitted on half of the people, and their luck is missing in it.

# %%
null = stats.ladder_null(
    predictions, **main, folds=tuple(dict.fromkeys((settings.folds, 5))), seed=settings.seed
)
write_table(null, run.path("cbv", "ladder_null.csv"), LADDER_NULL)
show.ladder_null_table(null, source=run.source)

# %% [markdown]
# The paper's own test is the F test on the rows of the fit. Here the second network is T with noise on new people, and worth nothing; on the rows that it learned from, it has memorised ages in its own way, as this run's AICBV network has.

# %%
alarms = stats.false_alarms(
    predictions, main["recipe"], sizes=(100, 300, 1000, 2563), seed=settings.seed
)
if len(alarms):
    write_table(alarms, run.path("cbv", "false_alarms.csv"), FALSE_ALARMS)
    alarms = show.false_alarm_chart(alarms, source=run.source)
else:
    alarms = show.Note("There are no predictions of training rows in this run")
alarms

# %% [markdown]
# ## How many scans it takes
#
# A gain as large as the paper's, {glue:text}`paper_gain:` of T's error, needs {glue:text}`needed:` by a formula for normal errors and one scan a person. The paper tested 288.
#
# ## Doubts
#
# - One pair of seeds is one draw of a second look. The intervals contain the luck of who was tested, not that of training.
# - No clear gain is not proof of none: it is one too small for these scans. {glue:text}`smallest:`.
# - T′ sees exactly what T sees. A network on another version of the image, as AICBV is, may err more differently without knowing anything of blood; T + F and T + M are there for that.
# - In the simulated cohort a person's blood volume does not follow from the anatomy, so that no map computed from a T1w can know it. A gain on simulated scans is one of a second look.
# - Planted errors are normal and new in each scan; a real signal of blood would return in a person's next scan.

# %% tags=["remove-input"]
first, both = stats.paper_ladder()["mae"]
share = (first - both) / first
show.glue_number("verdict", stats.ladder_verdict(rungs))
said = show.NO_RECORDING
if real is not None:
    said = f"In the recorded run ({recorded.words(kind)}): {stats.ladder_verdict(real)}"
show.glue_number("recorded", said)
missing = show.listed(list(rungs.loc[~computed, "rung"]))
show.glue_number("rungs", f"Not run here: {missing}" if missing else "All controls were run")
show.glue_number("smallest", stats.detectable_sentence(power, power["over"].iloc[-1]))
show.glue_number("paper_gain", f"{100 * share:.1f} %")
show.glue_number("needed", show.count(stats.scans_needed(share), "scan"))
chapter.card()
