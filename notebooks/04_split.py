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
# # 4 · Is the test set like the rest?
#
# **Question.** Which scans train the networks, which stop them, and which judge them?
#
# **Answer.** {glue:text}`paper_split:`. In sound mode every scan of a control is tested exactly once, and nobody is on both sides.

# %% tags=["parameters"]
run = "demo"
profile = "demo"

# %%
from brainage_lib import data, show
from brainage_lib.run import open_chapter
from brainage_lib.tables import Recorded

chapter = open_chapter("04_split", run=run, profile=profile)
run = chapter.run
recorded = Recorded(run.path("recorded"))

# %%
splits, scores = data.write_splits(run)
manifest = data.kept(run)

# %% [markdown]
# ## The paper's way: ten partitions, the two most typical ones held out
#
# Ages are cut at their deciles, scans are dealt into ten partitions within each age bin and study, and each partition $p$ is compared with the whole $q$ over the cells $c$ (age bin × study):
#
# $$ D(p \| q) = \sum_c p_c \ln \frac{p_c}{q_c}, \qquad p_c = \frac{n_{pc} + 1}{\sum_c (n_{pc} + 1)} . $$
#
# The paper takes the two partitions of smallest divergence for validation and test. Which of the two is which it does not say; we take the smallest as test set. The added 1 is ours: it keeps empty cells finite.

# %%
show.partition_divergence(scores, source=run.source)

# %% [markdown]
# Choosing the most typical partition as the test set makes the test easier than a scan taken at random: errors on unusual ages or studies are under-represented by construction. How much easier is not measured in this run: it would take a training on each of the ten partitions.
#
# ## Ages by split (Fig. 1c of the paper)

# %%
show.ages_by_split(splits, manifest, source=run.source)

# %% [markdown]
# ## A sound way: by participant, out of fold
#
# People, not scans, are dealt into folds, stratified by age bin and study. Each fold is predicted by networks that have seen nobody in it; a part of the other folds, again by participant, decides when training stops. Patients are predicted by all folds and never fitted on.

# %%
show.partition_divergence(scores, source=run.source, mode="sound")

# %% [markdown]
# ## Who is on both sides?

# %%
leaks = data.read_leaks(run)
show.table(
    leaks,
    by={"mode": "Mode"},
    columns={
        "n_persons": ("People", "", 0),
        "shared_persons": ("in more than one role", "", 0),
        "test_scans": ("Test scans", "", 0),
        "leaked_test_scans": ("of people also trained on", "", 0),
    },
    title="The scan-level split tests on people it has trained on; the other one does not",
    caption="Roles: training, validation, test; a person counts once a mode",
    source=run.source,
    name="leaks",
)

# %% [markdown]
# Names are not everything. Before any split, all scans are compared as images, by their folds: what is left of a scan when the mean around each place is taken off, and what many scans share. Of two people that correlates at most 0.4, of one person's two scans 0.9 (measured on OASIS-1 and IXI). Two scans of different people from 0.65 on are one picture, or one person, under two names. People who look like one are kept together in sound mode, and counted as one above. One and the same image under two names is an error of the manifest: a split that puts it on both sides is refused, with the line for `aliases.csv` that joins them. Here: {glue:text}`copies:`.
#
# ## The recorded run

# %%
show.recorded_splits(recorded.table("split_scores"), source=recorded.source)

# %% [markdown]
# ## Doubts
#
# - Strata with fewer scans than partitions are pooled within the study, then within the age bin; with few scans a study most cells are pooled.
# - Two visits of one person under two identifiers, decades apart or from scanners that differ much, may look less alike than 0.65. They would leak even in sound mode.
# - One split is one draw. Its luck is part of every number in the chapters that follow; the intervals there do not contain it.

# %% tags=["remove-input"]
paper = splits[splits["mode"] == "paper"]
paper_split = "This run has no paper mode"
if len(paper):
    kl = scores.loc[(scores["mode"] == "paper") & (scores["role"] == "test"), "kl"].item()
    n_leaking = leaks.set_index("mode").loc["paper", "leaked_test_scans"]
    paper_split = (
        f"In paper mode {show.count(int((paper['role'] == 'test').sum()), 'scan')} of "
        f"{show.count(len(paper), 'scan')} are the test set, chosen as the partition most like "
        f"the whole (divergence {kl:.3f} nats); {n_leaking} of them show a person who is also "
        "trained on"
    )
show.glue_number("paper_split", paper_split)
copies = data.find_copies(run)
pairs = copies["scan_id"] + " and " + copies["other"]
found = f"{show.count(len(copies), 'pair')}: {show.listed(list(pairs[:5]))}"
show.glue_number("copies", found if len(copies) else "no such pair")
chapter.card()
