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
# # 3 · What can a T1w say about blood volume?
#
# **Question.** How is the synthetic map of cerebral blood volume (AICBV) made from a T1w scan, and how much of it is blood?
#
# **Answer.** Over the brain, the maps of the generator ({glue:text}`whose:`) agree with the simulated truth by a rank correlation of {glue:text}`network:`; knowing the tissue alone reaches {glue:text}`means:`. Within grey matter it explains {glue:text}`grey:` of what is left once tissue is known.
#
# The paper takes AICBV from a network of its own group, which is described as a patch-based hybrid of convolutions and Mamba and whose weights are not public. The network below has the structure of the group's published MedSegMamba with one output channel; that AICBV is this network is our inference ([what AICBV is](../book/aicbv.md)).

# %% tags=["parameters"]
run = "demo"
profile = "demo"

# %%
from brainage_lib import data, imaging, models, show, simulate
from brainage_lib.run import open_chapter
from brainage_lib.train import aicbv, cbv_shipped, cbv_signal

chapter = open_chapter("03_aicbv_synthesis", run=run, profile=profile)
run, settings = chapter.run, chapter.run.profile

# %% [markdown]
# ## The generator
#
# An encoder halves a patch three times; nine blocks scan the coarse box along eight paths, each of which visits every cell once; a decoder with skips brings it back. The size of this run is a setting; the structure is the same in all.

# %%
generator = models.AICBVGenerator(settings.generator.size)
print(f"{settings.generator.size}: {models.count_parameters(generator):,} parameters")

# %% [markdown]
# ## Learning from people outside the cohort
#
# {glue:text}`origin:`
#
# Nobody in this cohort has a measured blood volume. Simulated people have: each has a T1w and a true map of blood volume from the same tissue, vessels and signal equations ([the simulator](../book/simulated.md)). None of them is in the cohort.

# %%
training = aicbv.fit_aicbv(run)
origin = cbv_shipped.origin(run)
show.generator_curve(training, source=origin.source)

# %% [markdown]
# ## A map for every scan
#
# The generator goes over each scan patch by patch; overlapping patches are blended.

# %%
aicbv.synthesise_cohort(run)
manifest = data.kept(run)
grid = imaging.grid(settings.grid_mm)
scan = manifest.iloc[0]
t1w = data.VolumeStore(run.path("volumes", "t1w"))[scan["scan_id"]]
cbv = data.VolumeStore(run.path("volumes", "cbv"))[scan["scan_id"]]
truth = simulate.open_scan(scan["path"], grid).cbv if run.simulated else None
show.cbv_maps(t1w, cbv, grid.affine, true_cbv=truth, source=run.source)

# %% [markdown]
# ## Scores against baselines and ceiling
#
# The maps are scored on simulated people that the generator has not seen. Grey matter holds twice as much blood as white matter, and a T1w shows which is which; so each score stands beside what knowing the tissue alone reaches, and what one fixed transform of the T1w reaches. The ceiling is a regression that is told more than any T1w shows: the true share of each tissue in every voxel, and with it that of the vessels.

# %%
scores = aicbv.score_aicbv(run)
show.cbv_scores(scores, measure="spearman", source="simulated scans")

# %%
show.cbv_scores(scores, measure="pearson", source="simulated scans")

# %% [markdown]
# Pearson's correlation belongs to a few large vessels with ten times as much blood as the rest; Spearman's, by ranks, to the many voxels of tissue. Both are printed because they disagree.

# %%
show.cbv_scores(scores, measure="residual_r2", source="simulated scans")

# %% [markdown]
# This last chart asks for what is left once tissue is known. Within grey and within white matter nobody predicts anything, and differences there are noise. What remains readable in the whole brain is large vessels. A network clearly above the ceiling would point to a bug.
#
# ## Why blood hardly shows in a T1w
#
# A T1w tells tissues apart by their T1, and the T1 of blood is close to that of grey matter. So a voxel with more blood looks almost like one with less: one standard deviation of blood volume changes grey matter by {glue:text}`blood:`. Noise, the spread of T1 within the tissue and the scanner's settings of the day change it {glue:text}`least:` to {glue:text}`most:` times more, and the T1w has one number a voxel for all of them. With gadolinium the line is steep, and that is how blood volume is measured.

# %%
spreads = cbv_signal.signal_spreads()
show.signal_against_blood(
    cbv_signal.blood_curves(),
    spreads,
    sequence=cbv_signal.USUAL,
    causes=cbv_signal.CAUSES,
    source="the simulator's signal equations",
)

# %% [markdown]
# In the literature the same is seen from the other side: in 11 people scanned twice with gadolinium, the measured map agrees with its own repeat (Spearman 0.415) less well than with a map predicted from T1w (0.587). What all of them share is anatomy.
#
# ## Trained here, and shipped
#
# {glue:text}`shipped:`

# %%
beside = cbv_shipped.put_beside(run, scores)
show.cbv_maps(
    beside.t1w, beside.maps, grid.affine, true_cbv=beside.true_cbv, source="simulated scans"
)

# %%
show.generators_table(
    beside.scores, source=f"{aicbv.SCORED_PEOPLE} simulated people for each generator"
)

# %% [markdown]
# The [model cards](../book/aicbv.md#shipped-weights) of the shipped weights say what they were trained on, how they score, and what they are not.
#
# ## Doubts
#
# - **AICBV is a function of the T1w.** It can help a network to see what is in the T1w; it cannot bring in what is not.
# - The truth here is the simulator's. Its coupling of blood and anatomy is a setting, by default none within tissue.

# %% tags=["remove-input"]
means = scores.groupby(["predictor", "region", "measure"])["value"].mean()
show.glue_number("network", means.get(("network", "brain", "spearman")))
show.glue_number("means", means.get(("tissue means", "brain", "spearman")))
grey = spreads.set_index(["tissue", "cause"]).loc["grey matter"]
others = grey.drop(index="blood volume")["times_blood"]
show.glue_number("blood", grey.loc["blood volume", "change_percent"], unit="%")
show.glue_number("least", others.min(), digits=0)
show.glue_number("most", others.max(), digits=0)
show.glue_number("whose", origin.label)
show.glue_number("origin", origin.sentence)
show.glue_number("shipped", beside.sentence)
show.glue_number("grey", show.percent(means.get(("network", "grey matter", "residual_r2"))))
chapter.card(selective_scan=aicbv.scan_in_use())
