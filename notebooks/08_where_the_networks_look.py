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
# # 8 · Which voxels?
#
# **Question.** Where do the two networks look, does that change with age, and do they look at different places?
#
# **Answer.** {glue:text}`answer:`
#
# A map of this kind always shows something, and always something that looks like anatomy once it lies on a brain. So its resolution comes first, and tests that it could fail come with it.

# %% tags=["parameters"]
run = "demo"
profile = "demo"

# %%
import pandas as pd

from brainage_lib import explain, imaging, show
from brainage_lib.run import open_chapter
from brainage_lib.tables import ATTRIBUTION, Recorded, write_table

chapter = open_chapter("08_where_the_networks_look", run=run, profile=profile)
run, settings = chapter.run, chapter.run.profile
grid, mode = imaging.grid(settings.grid_mm), settings.headline["mode"]
recorded = Recorded(run.path("recorded"))
kind = recorded.kind(settings.headline)

# %% [markdown]
# ## How finely can a map see?
#
# Grad-CAM (Selvaraju et al. 2017) weighs the channels of one convolution by how much the predicted age depends on them, and adds them up. Its map has the cells of that convolution, enlarged afterwards to the voxels of the scan. The paper takes the fifth block, in front of which the image has been halved four times.

# %%
block = settings.attribution.block
resolution = explain.resolution(grid.shape, grid.mm, block)
print("this run: ", resolution)
print("the paper:", explain.resolution((182, 218, 182), 1))

# %% [markdown]
# (That the paper's images have 1 mm is our assumption; it prints no size.) **Regions smaller than a cell cannot be resolved**, however sharp the enlarged map looks. The dentate gyrus, which the paper names, is about 3 mm thick. {glue:text}`field:`
#
# ## Maps by decade (Fig. 4 of the paper)
#
# Every test scan is explained by the network that has not seen it. Its map is set to zero below the 80th percentile within the brain; these are averaged over each ten-year group, and shown on the group's mean T1w. Maps of different networks have no common scale, so that each network's are divided by their mean first. The order of averaging and choosing slices is ours.

# %%
looked = {net: explain.attribute(run, net, mode) for net in settings.nets}
show.gradcam_by_decade(
    looked["T"].t1w,
    {net: found.groups for net, found in looked.items()},
    grid.affine,
    source=run.source,
    resolution=resolution,
)

# %%
groups = pd.concat([found.table for found in looked.values()], ignore_index=True)
write_table(groups, run.path("attribution", "groups.csv"), ATTRIBUTION)
show.table(
    groups.replace({"small": {True: "fewer than 10", False: ""}}),
    by={"net": "Network", "decade": "Decade"},
    columns={
        "n_scans": ("Scans", "", 0),
        "small": "Few",
        "sagittal": ("x", "mm", 0),
        "coronal": ("y", "mm", 0),
        "axial": ("z", "mm", 0),
        "mass_outside": ("Map outside the brain", "share", 2),
        "outside": ("Image outside the brain", "share", 2),
    },
    title="Slices of Fig. 4, and how much of each map lies outside the brain",
    caption="MNI152 coordinates. A map that is alike everywhere has the share of the last column",
    source=run.source,
    name="attribution-groups",
)

# %% [markdown]
# ### The same of the recorded run
#
# Mean maps of ten people or more; those of fewer are not kept.

# %%
maps = explain.recorded_maps(recorded, kind)
if maps:
    picture = show.gradcam_by_decade(
        maps.t1w, maps.groups, maps.affine, source=recorded.source, name="figure4-recorded"
    )
else:
    picture = show.Note(show.NO_RECORDING if not recorded else "No map of this kind is recorded")
picture

# %% [markdown]
# Outside the brain the image is zero and holds no information. What a map shows there ({glue:text}`outside:` of its sum) comes from cells that reach over the edge, and from positions that the network counts without seeing anything in them.
#
# ## Do the networks look at different places?
#
# The paper calls the regions of the two networks mutually exclusive, and prints no measure of overlap. Below is the Dice overlap of highest fifths; two fifths that have nothing to do with each other overlap by 0.2. What decides is a comparison that the paper does not make: how much do two networks *of the same kind* overlap that were trained on other people?

# %%
overlaps = explain.overlap_table(looked)
show.three_columns(
    None,
    recorded.table("overlap", **kind) if kind else None,
    overlaps,
    by={"where": "Scans", "pair": "Maps"},
    measures={"overlap": show.Measure("Dice overlap", "0–1")},
    title=f"T and A overlap by {show.number(overlaps['overlap'][0])}",
    caption="Highest fifths of mean maps within the brain; all ages: fold by fold. Unrelated "
    "fifths overlap by 0.20 on average",
    source=run.source,
    name="overlap",
)

# %% [markdown]
# ## Does the map show what was learned?
#
# A method that shows edges and tissue makes beautiful maps of a network that knows nothing. The test (Adebayo et al. 2018): draw the layers anew, from the output back to the input, and see when the map changes. A map that stays like itself shows the image.

# %%
steps = {}
for net in settings.nets:
    network, volumes, brains = explain.unseen(run, net, mode, 12)
    steps[net] = explain.randomisation_test(network, volumes, brains, settings.seed)
show.randomisation(steps, source=run.source)

# %% [markdown]
# ## Against the paper
#
# | what the paper says | what we see | why they differ |
# | --- | --- | --- |
# | T1w network: medial prefrontal in the young, inferior frontal in the old | one blob of a few cells a group, in the picture above | a gyrus is smaller than a cell, in the paper and here |
# | AICBV network: medial prefrontal, then medial temporal, the dentate gyrus in particular | as above | 3 mm cannot be told from 16 mm |
# | "mutually exclusive" regions, and in the key points their "concordance" | overlap {glue:text}`dice:`, two networks of one kind {glue:text}`dice_folds:` | the paper prints no overlap; §3.4 itself puts both networks on the medial prefrontal cortex of the young |
#
# ## Doubts
#
# - The highest fifth is a fifth by construction. Every map has one, also where the network looks everywhere alike.
# - Grad-CAM of a network with dense layers behind its last convolution averages the gradients over all cells, although the dense layers treat each cell differently. What one cell contributes is not what the map gives it.
# - Networks of one seed begin with the same weights, which makes their maps more alike than what they learned.
# - Age is in all of the brain. A network that reads it at one place has not shown that it cannot be read elsewhere.
# - {glue:text}`few:` have fewer than ten scans; their maps are those of a few people.

# %% tags=["remove-input"]
cell, field = explain.cell_mm(grid.mm, block), explain.receptive_field_mm(grid.mm, block)
between = show.number(overlaps["overlap"][0])
within = show.listed([f"{show.number(f.fold_overlap)} ({net})" for net, f in looked.items()])
last = show.listed([f"{show.number(s[-1].similarity.mean())} ({n})" for n, s in steps.items()])
outside = [f"{show.percent(f.table['mass_outside'].mean())} ({net})" for net, f in looked.items()]
small = int(looked["T"].table["small"].sum())
show.glue_number(
    "answer",
    f"These maps see cells of {cell:g} mm. The highest fifths of T and A overlap by {between}; "
    f"those of two networks of one kind, trained on different people, by {within}; unrelated "
    "ones would by 0.20. With all layers random, maps correlate with the learned ones by "
    f"{last}.",
)
whole = "Here one cell sees the whole head" if field > 220 else f"Here one cell sees {field:g} mm"
show.glue_number("field", f"{whole}: its place is known, and not what it saw there.")
show.glue_number("dice", between)
show.glue_number("dice_folds", within)
show.glue_number("outside", show.listed(outside))
show.glue_number("few", f"{small} of {show.count(len(looked['T'].table), 'group')}")
chapter.card()
