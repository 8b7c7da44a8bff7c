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
# # 1 · Who is in the data?
#
# **Question.** Which people, of which ages and studies, will the networks learn from and be tested on?
#
# **Answer.** {glue:text}`scans:` of {glue:text}`people:` from {glue:text}`studies:`, aged {glue:text}`ages:`, SD {glue:text}`age_sd:`; {glue:text}`patients:` carry a diagnosis and {glue:text}`repeated:` are repeats of a person already scanned.
#
# The paper has 2,851 T1-weighted scans of 13 public studies (its section 2.1, Figures 1a and 1b). It does not say whether patients are among them, nor how many scans show the same person twice; both matter in the chapters that follow.

# %% tags=["parameters"]
run = "demo"
profile = "demo"

# %%
from brainage_lib import data, show
from brainage_lib.run import open_chapter
from brainage_lib.tables import Recorded

chapter = open_chapter("01_data_curation", run=run, profile=profile)
run = chapter.run
recorded = Recorded(run.path("recorded"))

# %% [markdown]
# ## The manifest
#
# Everything starts from one table, a row a scan. It is read as a whole: a missing file, a `scan_id` that stands twice, an age that no person has, or a column nobody knows stops the book here, with every bad cell named, before anything is computed.

# %%
manifest = data.write_manifest(run)
manifest.head()

# %% [markdown]
# ## Ages (Fig. 1a of the paper)

# %%
show.counts_by_decade(manifest, source=run.source)

# %% [markdown]
# ## Ages and sex by study (Fig. 1b of the paper)

# %%
show.ages_by_study(manifest, source=run.source)

# %% [markdown]
# A study is a scanner, a protocol and an age range at once. Where a study covers few ages, a network can read the age from the scanner; [chapter 7](07_by_age_and_study.ipynb) therefore looks at each study by itself.

# %%
show.cohort_table(data.describe_projects(manifest), source=run.source)

# %% [markdown]
# ## Who is there twice, and who is ill

# %%
repeats = data.list_repeats(manifest)
show.table(
    repeats,
    by={"project": "Study", "scans": "Scans of one person"},
    columns={
        "n_participants": ("People", "", 0),
        "years_median": ("Median years apart", "years", 1),
        "years_max": ("Longest", "years", 1),
    },
    title=f"{show.count(repeats['n_participants'].sum(), 'person', 'people')} scanned more than once",
    caption="Years are those between a person's first and last scan",
    source=run.source,
    name="repeats",
)

# %%
diagnoses = data.count_diagnoses(manifest)
ill = diagnoses[diagnoses["diagnosis"] != "control"]
show.table(
    diagnoses,
    by={"project": "Study", "diagnosis": "Diagnosis"},
    columns={"n_scans": ("Scans", "", 0), "n_participants": ("People", "", 0)},
    title=f"{ill['n_scans'].sum()} of {show.count(len(manifest), 'scan')} are of people with a "
    f"diagnosis, in {show.count(ill['project'].nunique(), 'study', 'studies')}",
    caption="Diagnoses in the words of each study",
    source=run.source,
    name="diagnoses",
)

# %% [markdown]
# Two decisions follow, and they are ours:
#
# - **Repeats.** In *paper mode* a scan is the unit of the split, as in the paper: one person can stand in training and in test. In *sound mode* a person is ([chapter 4](04_split.ipynb)).
# - **Patients.** In sound mode nobody with a diagnosis is used to fit anything; their scans are predicted and kept apart. In paper mode they come as they are, because the paper does not exclude them.

# %% [markdown]
# ## The recorded run
#
# Results on real scans stand in the chapters that follow as the *recorded run* ([what is kept of it](../book/limits.md)). These people are in it.

# %%
show.recorded_cohort(recorded.table("cohort"), source=recorded.source)

# %% [markdown]
# ## Doubts
#
# - Ages of some studies are whole years or bins of two years; a network cannot be better than its labels.
# - The same person can be in two studies under two names. A table of aliases (`aliases.csv` beside the manifest) joins them; without one they count as two.
# - The shares of the 13 studies in the simulated cohort are our guess. The paper prints none.

# %% tags=["remove-input"]
people = manifest["participant_id"].nunique()
show.glue_number("scans", show.count(len(manifest), "scan"))
show.glue_number("people", show.count(people, "person", "people"))
show.glue_number("studies", show.count(manifest["project"].nunique(), "study", "studies"))
show.glue_number("ages", f"{manifest['age'].min():.0f}–{manifest['age'].max():.0f} years")
show.glue_number("age_sd", f"{manifest['age'].std():.1f} years")
show.glue_number("patients", show.count(int((manifest["diagnosis"] != "control").sum()), "scan"))
show.glue_number("repeated", show.count(len(manifest) - people, "scan"))
chapter.card()
