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

from brainage_lib import explain, imaging, show, simulate, stats
from brainage_lib.run import open_chapter
from brainage_lib.tables import ATTRIBUTION, REGIONS, STATEMENTS, TRIALS, Recorded, write_table
from brainage_lib.train.shuffled import fit_shuffled

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
sizes = looked["T"].table.set_index("decade")["n_scans"]
show.gradcam_by_decade(
    # Of real people no mean of fewer than ten is shown.
    {name: t1w for name, t1w in looked["T"].t1w.items() if run.simulated or sizes[name] >= 10},
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
    title=f"{show.percent(groups['mass_outside'].min())} to "
    f"{show.percent(groups['mass_outside'].max())} of a group's map lie outside the brain",
    caption="Slices of Fig. 4, MNI152 coordinates. A map that is alike everywhere has the share of the last column",
    source=run.source,
    name="attribution-groups",
)

# %% [markdown]
# ### Turn it yourself
#
# The same maps over the mean T1w or the mean AICBV of each group. Arrow keys, a click or a finger move the cross; nothing is loaded before you ask for it.

# %%
show.brain_viewer(
    {
        "t1w": looked["T"].t1w,
        "cbv": explain.mean_cbv(run, mode),
    },
    {
        net: {name: group.mean for name, group in found.groups.items()}
        for net, found in looked.items()
    },
    sizes,
    grid.affine,
    folder=run.path("viewer"),
    words={"t1w": "mean T1w", "cbv": "mean AICBV", **{net: f"network {net}" for net in looked}},
    source=run.source,
    small_groups=run.simulated,
    resolutions=[resolution],
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
# ## Other methods, and finer layers
#
# Grad-CAM can look at any convolution. The finest layer is the most useful one, if its map still depends on what was learned: each block's map is compared with that of the same network whose layers were drawn anew, from the output back to the input (Adebayo et al. 2018). A map that stays like itself shows the image.

# %%
samples = {net: explain.Sample(run, net, mode) for net in settings.nets}
layers = pd.concat([explain.block_steps(sample) for sample in samples.values()], ignore_index=True)
finest = explain.finest_block(layers)
looks = explain.looks_of(run, finest)
words = {(look.method, look.block): look.words for look in looks}
print("finest block whose map depends on what was learned:", finest or "none")

# %% [markdown]
# Beside it: **integrated gradients** (what changes on the way from an average brain to this one, Sundararajan et al. 2017), **SmoothGrad** (the gradient, averaged over noise, Smilkov et al. 2017) and **occlusion** (a cube of the scan replaced by an average one, Zeiler & Fergus 2014). They take many passes through the network a scan and run on a sample.

# %%
maps = [{net: sample.make(look) for net, sample in samples.items()} for look in looks]
for of_nets in maps:
    each = [f"{len(m.scans)} scans, {m.seconds:.2g} s a scan ({net})" for net, m in of_nets.items()]
    look = of_nets["T"].look
    print(f"{look.words}: {look.resolution(grid.mm)}; {'; '.join(each)}")

# %%
show.maps_by_method(
    looked["T"].mean_t1w,
    {of_nets["T"].look.words: of_nets["T"].mean() for of_nets in maps},
    {look.words: look.resolution(grid.mm) for look in looks},
    grid.affine,
    net="T",
    n={of_nets["T"].look.words: len(of_nets["T"].scans) for of_nets in maps},
    source=run.source,
)

# %% [markdown]
# ## Tests that a method can fail
#
# Each method is asked the same: does its map change when the network forgets, does it stay in the brain, do two trainings agree, on other people and from another start, does the predicted age move when what it marks is exchanged for an average brain? Of simulated scans it is known which voxels carry age. What a blind map gets stands beside each value: maps with the same values and the same smoothness, scattered over the brain.
#
# Another way to forget is to have had nothing to learn (Adebayo et al. 2018): a network of the same recipe learns the same scans with their ages in another order. All that it can do is to know them by heart. A map that stays as it was, although the ages mean nothing now, was never about age.

# %%
shuffled = fit_shuffled(run)
if shuffled.empty:
    learned = show.Note("This run trains no network on shuffled ages")
else:
    learned = show.table(
        shuffled,
        by={"net": "Network"},
        columns={
            "n_train": ("Training scans", "", 0),
            "epochs": ("Epochs", "", 0),
            "learned_mae": ("MAE on scans that it learned", "years", 1),
            "guess_mae": ("MAE of their median age", "years", 1),
        },
        title="On shuffled ages that it learned, "
        + show.listed(
            [
                f"{row.net} errs by {show.number(row.learned_mae, 1)} years (their median by "
                f"{show.number(row.guess_mae, 1)})"
                for row in shuffled.itertuples()
            ]
        ),
        caption="One that errs no less than the median has not even learned its scans: the test "
        "then says little more than that of random weights",
        source=run.source,
        name="shuffled-ages",
    )
learned

# %%
truth = simulate.age_voxels(grid) if run.simulated else None
trials = [explain.try_maps(sample, looks, truth) for sample in samples.values()]
table = pd.concat([found.table for found in trials], ignore_index=True)
write_table(table, run.path("attribution", "trials.csv"), TRIALS)
show.trials_table(table, words, source=run.source)

# %%
show.cascades(pd.concat([found.steps for found in trials]), words, source=run.source)

# %%
agreement = pd.concat([explain.method_agreement(sample, looks) for sample in samples.values()])
show.agreement_table(agreement, source=run.source)

# %% [markdown]
# ### A lesion that was planted
#
# Simulated brains change with age in many places, and a method may be right about the network and wrong about the brain. So a small network learns heads in which a single ball tells the age; another ball changes as much, at random. A map of the image's edges, made without looking at the network, stands among the methods: it has to fail.

# %%
phantom = explain.make_phantom(settings.seed)
reader = explain.learn(phantom)
mappers = {
    look.words: explain.make_mapper(
        look.method,
        grid_mm=8 if look.method == "occlusion" else grid.mm,
        block=look.block or 1,
        baseline=phantom.volumes.mean(axis=0),
    )
    for look in looks
}
show.phantom_table(
    explain.rank_methods(phantom, reader, {**mappers, "edges of the image": explain.edges}),
    source="heads made for this test",
    errors=explain.reading_error(phantom, reader),
)

# %% [markdown]
# ## Which regions?
#
# Regions are groups of Neuromorphometrics labels in MNI152, read from the package deepmriprep. Where a map's cells are wider than 32 mm the question is refused: the paper's layer is such a one at this grid unless the line above says otherwise.

# %%
fine = [
    of_nets
    for of_nets in maps
    if explain.resolvable(of_nets["T"].look, grid.mm) and of_nets["T"].look.method != "smoothgrad"
]
regions = explain.region_table(samples, fine, settings.bootstrap, settings.seed)
write_table(regions, run.path("attribution", "regions.csv"), REGIONS)
first = fine[0]["T"].look if fine else looks[0]
show.region_figure(
    regions[(regions["method"] == first.method) & (regions["block"] == first.block)],
    method=first.words,
    source=run.source,
)

# %% [markdown]
# ### The paper's statements about regions, each with a number
#
# "Young" is below 40 here, "old" from 60 on; the paper says neither.

# %%
tried = [look for look in looks if look.method != "smoothgrad"]
statements = pd.concat(
    [
        explain.try_statements(samples, of_nets, settings.seed)
        for of_nets in maps
        if of_nets["T"].look in tried
    ],
    ignore_index=True,
)
write_table(statements, run.path("attribution", "statements.csv"), STATEMENTS)
show.statements_table(statements, words, source=run.source)

# %% [markdown]
# The same of the recorded run; of few people nothing is told, and scans are counted in fives.

# %%
real = recorded.table("statements", **kind) if kind else None
if real is None:
    told = show.Note(
        show.NO_RECORDING if not recorded else "No statement about regions is recorded"
    )
else:
    kinds = real[["method", "block"]].drop_duplicates().itertuples(index=False, name=None)
    names = {key: explain.Look(*key).words for key in kinds}
    told = show.statements_table(real, names, source=recorded.source, name="statements-recorded")
told

# %% [markdown]
# ## Against the paper
#
# | what the paper says | what we see | why they differ |
# | --- | --- | --- |
# | T1w network: medial prefrontal in the young, inferior frontal in the old | {glue:text}`t_regions:` | a gyrus is smaller than a cell of the paper's layer; finer maps are another question |
# | AICBV network: medial prefrontal, then medial temporal, the dentate gyrus in particular | {glue:text}`a_regions:` | 3 mm cannot be told from 16 mm |
# | "mutually exclusive" regions, and in the key points their "concordance" | overlap {glue:text}`dice:`, two networks of one kind {glue:text}`dice_folds:` | the paper prints no overlap; §3.4 itself puts both networks on the medial prefrontal cortex of the young |
#
# ## Doubts
#
# - A statement that holds on the map of a method that fails above says something of the method, and nothing of the network.
# - The highest fifth is a fifth by construction. Every map has one, also where the network looks everywhere alike.
# - Grad-CAM of a network with dense layers behind its last convolution averages the gradients over all cells, although the dense layers treat each cell differently. What one cell contributes is not what the map gives it.
# - Two trainings, two seeds and shuffled ages are compared on a handful of scans of one fold. What is said is whether a map fails there, and not by how much another would.
# - Age is in all of the brain. A network that reads it at one place has not shown that it cannot be read elsewhere.
# - {glue:text}`few:` have fewer than ten scans; their maps are those of a few people.

# %% tags=["remove-input"]
cell, field = explain.cell_mm(grid.mm, block), explain.receptive_field_mm(grid.mm, block)
between = show.number(overlaps["overlap"][0])
within = show.listed([f"{show.number(f.fold_overlap)} ({net})" for net, f in looked.items()])
paper_layer = table[(table["method"] == "grad-cam") & (table["test"] == "randomised")]
last = show.listed([f"{show.number(row.value)} ({row.net})" for row in paper_layer.itertuples()])
failed = table[table["verdict"] == "fails"]
failing = sorted({words[row.method, row.block] for row in failed.itertuples()})
outside = [f"{show.percent(f.table['mass_outside'].mean())} ({net})" for net, f in looked.items()]
small = int(looked["T"].table["small"].sum())
show.glue_number(
    "answer",
    f"These maps see cells of {cell:g} mm. The highest fifths of T and A overlap by {between}; "
    f"those of two networks of one kind, trained on different people, by {within}; unrelated "
    "ones would by 0.20. With all layers random, maps correlate with the learned ones by "
    f"{last}. Failing at one test or more, for one network at least: "
    f"{show.listed(failing) or 'none'}.",
)
said = stats.tell_statements(statements)
show.glue_number("t_regions", said.get(43, "not tried"))
show.glue_number("a_regions", said.get(44, "not tried"))
whole = "Here one cell sees the whole head" if field > 220 else f"Here one cell sees {field:g} mm"
show.glue_number("field", f"{whole}: its place is known, and not what it saw there.")
show.glue_number("dice", between)
show.glue_number("dice_folds", within)
show.glue_number("outside", show.listed(outside))
show.glue_number("few", f"{small} of {show.count(len(looked['T'].table), 'group')}")
chapter.card()
