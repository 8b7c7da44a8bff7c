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
# # 7 · For whom?
#
# **Question.** Does the error depend on age and study, and is one model better for some people?
#
# **Answer.** {glue:text}`by_age:`. {glue:text}`by_study:`. {glue:text}`recorded:`

# %% tags=["parameters"]
run = "demo"
profile = "demo"

# %%
from brainage_lib import show, stats
from brainage_lib.run import open_chapter
from brainage_lib.tables import (
    PREDICTIONS,
    TABLE2,
    TABLE3,
    Recorded,
    choose,
    read_table,
    write_table,
)

chapter = open_chapter("07_by_age_and_study", run=run, profile=profile)
run, settings = chapter.run, chapter.run.profile
resampling = {"replicates": settings.bootstrap, "seed": settings.seed}
stacked = stats.stack(read_table(run.path("predictions.csv"), PREDICTIONS))
recorded = Recorded(run.path("recorded"))
kind = recorded.kind(settings.headline)

# %% [markdown]
# ## Table 2: by age
#
# Groups of five years as in the paper. The paper prints no group sizes; its 288 test scans make 18 a group on average, so that a typical group's error is known to about ± 1.6 years. Here each cell has its n and its interval, and groups of fewer than ten scans are marked.

# %%
table2 = stats.table2(stacked, **resampling)
write_table(table2, run.path("table2.csv"), TABLE2)
by_age = choose(table2, **settings.headline)
show.mae_by_group(by_age, stats.paper_table2(), group="age_group", source=run.source)

# %%
real_by_age = recorded.table("table2", **kind) if kind else None
show.mae_by_group_table(
    stats.paper_table2(),
    real_by_age,
    by_age,
    group="age_group",
    source=run.source,
    recorded_source=recorded.words(kind),
)

# %% [markdown]
# What the paper says: T and A are worse than TA and TAS "across most age groups". In its own Table 2 TA is below T in 9 of 16 groups and below both in 5; the single best model is T in 7 groups, A in 4.

# %% [markdown]
# ## Table 3: by study

# %%
table3 = stats.table3(stacked, **resampling)
write_table(table3, run.path("table3.csv"), TABLE3)
by_study = choose(table3, **settings.headline)
show.mae_by_group(by_study, stats.paper_table3(), group="project", source=run.source)

# %%
real_by_study = recorded.table("table3", **kind) if kind else None
show.mae_by_group_table(
    stats.paper_table3(),
    real_by_study,
    by_study,
    group="project",
    source=run.source,
    recorded_source=recorded.words(kind),
)

# %% [markdown]
# Studies differ in age range before they differ in anything else: a study of students is easy, because nobody in it can be far from twenty. Errors of studies cannot be ranked without their age spread ([chapter 1](01_data_curation.ipynb)).
#
# ## Doubts
#
# - Sixteen groups and thirteen studies are twenty-nine comparisons. A group in which one model has the lowest error is not a finding: look whether the intervals in it exclude one another.
# - A table by sex, and tests of these differences, are not here yet.
# - In sound mode every control is tested once, so that the groups are larger than in paper mode and the numbers are those of several networks.

# %% tags=["remove-input"]
show.glue_number("by_age", show.lowest_counts(by_age, "age_group"))
show.glue_number("by_study", show.lowest_counts(by_study, "project"))
said = show.recorded_by_group(real_by_age, real_by_study, recorded.words(kind))
show.glue_number("recorded", said)
chapter.card()
