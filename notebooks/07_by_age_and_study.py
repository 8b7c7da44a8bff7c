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
    BIAS,
    BY_SEX,
    COVERAGE,
    HARMONISED,
    LEFT_OUT,
    PATIENTS,
    PREDICTIONS,
    RELIABILITY,
    STUDIES,
    TABLE2,
    TABLE3,
    Recorded,
    choose,
    read_table,
    write_table,
)
from brainage_lib.train.harmonised import compare_harmonised

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
# Studies differ in age range before they differ in anything else: a study of students is easy, because nobody in it can be far from twenty. Errors of studies cannot be ranked without their age spread ([chapter 1](01_data_curation.ipynb)). So each scan is expected to err as all tested scans of its decade do, and a study's error is compared with what its ages alone explain.

# %%
model = "TA"
studies = stats.studies(stacked, **resampling)
write_table(studies, run.path("studies.csv"), STUDIES)
show.studies_chart(choose(studies, **settings.headline, model=model), source=run.source)

# %% [markdown]
# ### A study that was not there
#
# The regression can be fitted without a study. The networks have still seen it, unless each study is a fold.

# %%
left_out = stats.left_out_studies(stacked, **resampling)
if len(left_out):
    write_table(left_out, run.path("left_out.csv"), LEFT_OUT)
    rows = choose(left_out, recipe=settings.headline["recipe"], model=model)
    alone = show.left_out_chart(rows, source=run.source)
else:
    alone = show.Note("No study can be left out: that takes the sound mode and several studies")
alone

# %% [markdown]
# ### Can the study be told from the features?
#
# A network that knows the scanner can guess the age from it, since studies differ in age. ComBat takes a shift and a scale of each study out of the 128 penultimate features, with age and sex in the model. It is fitted on the rows that the networks learned from and applied to new rows without their age; a study without such rows is refused. Where a study has few of them, its shift is known poorly, and what is taken out of its new scans is a mark of the study of its own.

# %%
harmonised = compare_harmonised(run, settings.headline["recipe"], **resampling)
if len(harmonised):
    write_table(harmonised, run.path("harmonised.csv"), HARMONISED)
    features = show.harmonised_table(harmonised, source=run.source)
else:
    features = show.Note("Harmonisation is compared in the sound mode alone")
features

# %% [markdown]
# ## Women and men
#
# The paper reads its sex coefficient as male brains looking older. A gap of women against men is such a difference only at equal ages.

# %%
by_sex = stats.by_sex(stacked, **resampling)
write_table(by_sex, run.path("by_sex.csv"), BY_SEX)
show.by_sex_table(choose(by_sex, **settings.headline), source=run.source)

# %% [markdown]
# ## Intervals that hold what they say
#
# An interval of 90 % should contain nine of ten ages: over all, and among the young, the old, and in each study. Its half-width is a quantile of the errors of other people (split conformal prediction). One half-width for all is right on average and wrong where errors differ; the locally weighted kind is wide where the model errs much.

# %%
coverage = stats.coverage(stacked, seed=settings.seed)
write_table(coverage, run.path("coverage.csv"), COVERAGE)
of_model = choose(coverage, **settings.headline, model=model)
show.coverage_by_group(choose(of_model, kind="constant"), source=run.source)

# %%
show.coverage_by_group(choose(of_model, kind="local"), source=run.source)

# %% [markdown]
# ## The gap over age
#
# Every regression pulls towards the mean, so that the gap falls with age. It can be taken out with a line or a smooth curve fitted on other people. That uses the true age: a corrected value is for comparing people, and no table of errors accepts it.

# %%
bias = stats.bias_over_age(stacked, **resampling)
write_table(bias, run.path("bias.csv"), BIAS)
show.bias_slopes(choose(bias, **settings.headline), source=run.source)

# %% [markdown]
# ## Patients
#
# They are never trained on in the sound mode. A larger gap is what the field hopes for.

# %%
patients = stats.patients(stacked, **resampling)
if len(patients):
    write_table(patients, run.path("patients.csv"), PATIENTS)
    rows = choose(patients, **settings.headline, model=model)
    rows = rows[(rows["diagnosis"] == rows["diagnosis"].iloc[0]) | ~rows["small"]]
    gaps = show.patients_against_controls(rows, source=run.source)
else:
    gaps = show.Note("There are no patients in this cohort")
gaps

# %% [markdown]
# ## The same person again
#
# A gap means something for a person only if a second scan gives it again.

# %%
repeated = stats.repeated_scans(stacked, **resampling)
kind_of = {name: settings.headline[name] for name in ("recipe", "mode")}
pairs = stats.pairs_of(stacked, **kind_of, model=model)
agreement = None
if len(repeated):
    write_table(repeated, run.path("reliability.csv"), RELIABILITY)
    found = choose(repeated, **kind_of, model=model)
    agreement = found.iloc[0] if len(found) else None
show.bland_altman(pairs, agreement, source=run.source)

# %% [markdown]
# ## Doubts
#
# - Sixteen groups and thirteen studies are twenty-nine comparisons. A group in which one model has the lowest error is not a finding: look whether the intervals in it exclude one another. The same holds for the twenty-five groups of a coverage chart, of which one or two lie beyond their bands by luck.
# - Bands and intervals hold the luck of who was tested. Scans of one person count as several in the bands.
# - In sound mode every control is tested once, so that the groups are larger than in paper mode and the numbers are those of several networks.

# %% tags=["remove-input"]
show.glue_number("by_age", show.lowest_counts(by_age, "age_group"))
show.glue_number("by_study", show.lowest_counts(by_study, "project"))
said = show.recorded_by_group(real_by_age, real_by_study, recorded.words(kind))
show.glue_number("recorded", said)
chapter.card()
