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
# # 0 · What does the model say about this scan?
#
# **Question.** How does one T1w scan become an age, and how far can that age be trusted?
#
# **Answer.** {glue:text}`answer:`
#
# This is a number for research, from a network with a known error, about one scan. It is not for clinical use: it finds no disease and rules none out.

# %% tags=["parameters"]
run = "demo"
profile = "demo"

# %%
import pandas as pd

from brainage_lib import imaging, predict, show
from brainage_lib.run import open_chapter

chapter = open_chapter("00_one_scan", run=run, profile=profile)
run = chapter.run

# %% [markdown]
# ## The path (Fig. 2 of the paper)

# %%
show.pipeline()

# %% [markdown]
# Each box is a chapter: the scan is prepared in [chapter 2](02_images_and_quality.ipynb), the AICBV generator is trained in [chapter 3](03_aicbv_synthesis.ipynb), the two networks in [chapter 5](05_vgg8_training.ipynb), the regression is fitted in [chapter 6](06_stacking_and_anova.ipynb). Here all of them are used, and nothing is learned.
#
# ## A scan that no network has seen
#
# {glue:text}`whose:`

# %%
example = predict.choose_example(run)
found = predict.predict_scan(run, example.scan, example.folder, example.fold)
print("verdict on the image:", "; ".join([found.verdict, *found.reasons]))
print("warnings:", "; ".join(found.warnings) or "none")

# %% [markdown]
# ## What the two networks read
#
# The T1w after preparation, and the map of blood volume that the generator makes from it. The second holds no measurement of its own: it is a function of the first.

# %%
grid = imaging.grid(run.profile.grid_mm)
show.cbv_maps(found.t1w, found.aicbv, grid.affine, source=run.source)

# %%
show.brain_viewer(
    {"t1w": {"this scan": found.t1w}, "cbv": {"this scan": found.aicbv}},
    {},
    {"this scan": 1},
    grid.affine,
    folder=run.path("viewer"),
    words={"t1w": "T1w", "cbv": "AICBV (ml/100 ml)"},
    source=run.source,
    small_groups=True,
    name="one-scan",
)

# %% [markdown]
# ## From two ages to one

# %%
ages = pd.DataFrame(
    [
        ("T: network on the T1w", found.networks["T"], None, None),
        ("A: network on AICBV", found.networks["A"], None, None),
        (f"{found.model}: stacked", found.predicted_age, found.interval_low, found.interval_high),
        ("true age", example.scan["age"], None, None),
        ("age that the brain was made to show", example.latent_age, None, None),
    ],
    columns=["step", "years", "years_low", "years_high"],
).dropna(subset="years")

# %% tags=["hide-input"]
level = "no interval" if found.level is None else f"{found.level:.0%} interval".replace("%", " %")
show.table(
    ages,
    by={"step": "Step"},
    columns={"years": ("Age", "years", 1)},
    title=f"Stacked: {show.number(found.predicted_age, 1)} years",
    caption=f"Below the stacked age: {level}. n = 1 scan",
    source=run.source,
    name="one-scan",
)

# %% [markdown]
# The interval is split conformal. Its half-width is the error that nine of ten controls stayed below when they were predicted by networks that had not seen them. It is the same for everyone, and it promises that nine of ten such intervals contain the true age, over people like those of the cohort. It promises nothing for one person.
#
# ## The gap
#
# Predicted minus true age is {glue:text}`gap:`. Every model of this kind makes young people too old and old people too young, so that the gap depends on age before it depends on anything else. Less the mean gap of controls of the same age it is {glue:text}`corrected:`. The correction uses the true age; it is for comparing people, never for an accuracy.
#
# The paper shows the path and no single scan. It prints no interval, and no correction for age.
#
# ## The same brain, disturbed
#
# Nothing below says anything about the person: the head lies otherwise in the scanner, there is more noise, a bias field, another contrast curve. Each is put on the scan as it came, and everything is done again from there. {glue:text}`came:` More disturbances, and your own scans: [`brainage stability`](../book/own_scans.md).

# %%
moved = predict.stability(
    predict.Model(run),
    example.scan,
    example.folder,
    fold=example.fold,
    only=["tilt", "noise", "bias", "gamma"],
)
show.stability_chart(moved, source=run.source)

# %% [markdown]
# ## Doubts
#
# - The gap is the sum of a person's deviation, the scanner, head movement, and the luck of one training. Nothing on this page tells them apart.
# - A scan from another kind of scanner, of another age, or of an ill person is not covered by the interval. Ages that the networks never saw are warned of, the rest is not.
# - {glue:text}`calibration:`

# %% tags=["remove-input"]
years = show.number(found.predicted_age, 1)
ends = [show.number(end, 1) for end in (found.interval_low, found.interval_high)]
around = f" ({level} {ends[0]} to {ends[1]})" if found.level else f" ({level})"
truth = f"The true age is {show.number(example.scan['age'], 1)}"
if example.latent_age is not None:
    truth += f", and the brain was made to look {show.number(example.latent_age, 1)}"
show.glue_number("answer", f"The scan looks {years} years old{around}. {truth}.")
show.glue_number("gap", found.gap_raw, unit="years", digits=1)
show.glue_number("corrected", found.gap_corrected, unit="years", digits=1)
if example.fold is None:
    whose = (
        "A simulated person outside the cohort, in a scanner of one of its studies, of about the "
        "cohort's median age. The networks of all folds are asked, and their ages averaged."
    )
    calibration = (
        "The half-width was found on ages of single folds' networks. The mean of several errs a "
        "little less, so that the interval is rather too wide."
    )
else:
    whose = (
        f"A control of about the median age, who was tested in fold {example.fold}. Only that "
        "fold's networks are asked, which have not seen the person, with the regression that was "
        "fitted on the other folds."
    )
    calibration = (
        "The person is one of the controls on whom the half-width and the line of the gap were "
        "found."
    )
if example.scan["t1w_state"] in ("simulated", "mni152-brain") and not (
    run.profile.preprocessing.register_again and example.folder
):
    came = (
        "This brain came lying in MNI152, so that nothing is registered and no bias field taken "
        "out: the networks feel all of it, and a tilt is what a registration off by that angle does."
    )
else:
    came = "This scan goes the whole way from its file each time."
show.glue_number("came", came)
show.glue_number("whose", whose)
show.glue_number("calibration", calibration)
chapter.card()
