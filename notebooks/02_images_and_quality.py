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
# # 2 · Can the images be trusted?
#
# **Question.** Is every scan a brain, in the right place, whole, and on one scale?
#
# **Answer.** {glue:text}`kept:` of {glue:text}`all:` go on; {glue:text}`dropped:` are put aside, each with its reason.
#
# The paper registers its scans to MNI152 by an affine transformation and divides each by the mean of its top 1 % of values. It does not say how bad scans were found. No verdict below looks at the person's age.

# %% tags=["parameters"]
run = "demo"
profile = "demo"

# %%
from brainage_lib import data, imaging, show
from brainage_lib.run import open_chapter
from brainage_lib.tables import Recorded

chapter = open_chapter("02_images_and_quality", run=run, profile=profile)
run = chapter.run
recorded = Recorded(run.path("recorded"))

# %% [markdown]
# ## From file to grid
#
# A raw head first loses what is not brain (deepbet) and its bias field (N4), and is laid onto MNI152 by an affine transformation of twelve numbers; a brain in the scanner's space the last two; a brain that the table of scans calls registered is taken as it is. Each scan is then put on the run's grid in MNI152 space, set to zero outside the brain, and divided by the mean of the top 1 % of its values. What cannot be used is put aside with its reason, and the rest goes on. The volumes are kept as half-precision arrays that training reads without loading them all.

# %%
quality = data.prepare_volumes(run)
show.verdict_counts(quality, source=run.source)

# %% [markdown]
# ## What was put aside, and why

# %%
show.reasons_table(data.put_aside(run), source=run.source)

# %% [markdown]
# ## The steps on one scan

# %%
manifest = data.kept(run)
grid = imaging.grid(run.profile.grid_mm)
steps = data.scan_steps(run, manifest["scan_id"].iloc[0])
show.scan_steps(steps, grid.affine, source=run.source)

# %% [markdown]
# ## Contact sheet
#
# Scans of all ages, the youngest first. Look for brains that are tilted, cut off, or still in their skull.

# %%
store = data.VolumeStore(run.path("volumes", "t1w"))
some = data.across_ages(manifest, 12)
labels = [f"{scan.project}, {scan.age:.0f} years" for scan in some.itertuples()]
show.contact_sheet(store.array(some["scan_id"]), grid.affine, labels, source=run.source)

# %% [markdown]
# ## The doubtful ones
#
# The twelve that are least like the template, whatever their verdict. If the measure is any good, what the eye finds wrong stands at the beginning.

# %%
worst = data.least_like_the_template(run, 12)
labels = [
    f"{row.verdict}, correlation {show.number(row.template_correlation)}"
    for row in worst.itertuples()
]
show.contact_sheet(
    store.array(worst["scan_id"]),
    grid.affine,
    labels,
    source=run.source,
    finding="The scans that are least like the template",
    name="least-alike",
)

# %% [markdown]
# ## The recorded run

# %%
show.recorded_quality(recorded.table("quality"), source=recorded.source)

# %% [markdown]
# ## Doubts
#
# - The measures find what is grossly wrong. A brain that lost a slice of its temporal pole passes.
# - Putting aside bad scans is not neutral: old and ill people move more, so that they are put aside more often. The counts above are by scan, and the table by study in [chapter 1](01_data_curation.ipynb) is from before.

# %% tags=["remove-input"]
show.glue_number("all", show.count(len(quality), "scan"))
show.glue_number("kept", show.count(len(manifest), "scan"))
show.glue_number("dropped", str(len(quality) - len(manifest)))
chapter.card()
