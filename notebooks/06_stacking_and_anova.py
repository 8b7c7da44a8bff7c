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
# # 6 · What does the second modality add?
#
# **Question.** Does a regression on the predictions of both networks err less than on one of them, and does sex help?
#
# **Answer.** Out of fold and by participant, T errs by {glue:text}`mae_T:` and TA by {glue:text}`mae_TA:`; the difference is {glue:text}`gain:`. The paper prints 4.10 and 3.96 years on 288 scans. {glue:text}`recorded:`

# %% tags=["parameters"]
run = "demo"
profile = "demo"

# %%
from brainage_lib import data, show, stats
from brainage_lib.run import open_chapter
from brainage_lib.tables import (
    ANOVA,
    COEFFICIENTS,
    INFLATION,
    PREDICTIONS,
    TABLE1,
    Recorded,
    choose,
    read_table,
    write_table,
)

chapter = open_chapter("06_stacking_and_anova", run=run, profile=profile)
run, settings = chapter.run, chapter.run.profile
resampling = {"replicates": settings.bootstrap, "seed": settings.seed}
recorded = Recorded(run.path("recorded"))
kind = recorded.kind(settings.headline)

# %% [markdown]
# ## Four models
#
# The networks' predictions $T$ (from T1w) and $A$ (from AICBV) enter ordinary least squares:
#
# $$ \begin{aligned}
# \text{T:}&\quad \text{age} \sim T & \text{A:}&\quad \text{age} \sim A \\
# \text{TA:}&\quad \text{age} \sim T + A & \text{TAS:}&\quad \text{age} \sim T + A + \text{sex}
# \end{aligned} $$
#
# with sex 0 for women and 1 for men. What differs between the modes is which rows the lines are fitted on.
#
# - **Paper mode.** Fitted on training and validation rows, the very rows on which the networks were trained and stopped, and evaluated on the test rows.
# - **Sound mode.** The rows of a fold are predicted with coefficients from the other folds' out-of-fold predictions. Neither the networks nor the regression have seen the person.

# %%
predictions = read_table(run.path("predictions.csv"), PREDICTIONS)
stacked = stats.stack(predictions)
for warning in stacked.warnings:
    print(warning)

# %% [markdown]
# ## Table 1

# %%
table1 = stats.table1(stacked, **resampling)
write_table(table1, run.path("stacking", "table1.csv"), TABLE1)
show.table1(
    stats.paper_table1(),
    recorded.table("table1"),
    table1,
    source=run.source,
    headline=settings.headline,
)

# %% [markdown]
# **The two modes must not be subtracted.** They differ in what is tested (a tenth of the scans, chosen as typical, with people who were also trained on, against every control once) and in how much is learned from (nine tenths of the scans against what the other folds hold: with two folds, half). T and A are the networks' predictions after the regression; [chapter 5](05_vgg8_training.ipynb) has them before it.
#
# What the paper says: TA (3.96) beats T (4.10) and A (4.49). The intervals beside this run's numbers come from resampling the tested people; the paper prints none. From its MAE and MSE one can work out that each of its errors is known to about ± 0.4 years ([chapter 10](10_the_claims.ipynb)).
#
# ## Is the difference more than luck?
#
# The same people are tested by all models, so that differences are paired. Holm's correction is applied within each mode.

# %%
differences = stats.compare_models(stacked, **resampling)
show.differences(choose(differences, **settings.headline), source=run.source, name="differences")

# %% [markdown]
# How much of the error is skill at all? Everyone could be said to have the same age.

# %%
show.guess_table(
    stats.guesses(stacked, **resampling),
    stats.network_errors(predictions, **resampling),
    source=run.source,
)

# %% [markdown]
# ## ANOVA
#
# The paper compares nested models by an F test and prints p < 2.2e-16 for T against TA and for A against TA, and 0.02 for TA against TAS. Such a test belongs to the rows on which the regression was fitted. Fitted on rows that the networks have memorised, the residuals are far too small and the p-values with them.

# %%
anova = stats.anova(stacked, **resampling)
write_table(anova, run.path("stacking", "anova.csv"), ANOVA)
show.anova_table(
    stats.paper_anova(),
    recorded.table("anova"),
    anova,
    source=run.source,
    headline=settings.headline,
)

# %% [markdown]
# ## What flatters
#
# Errors look smaller where the tested rows, or the people, are not new. Each way in which they are not is measured here, with its interval: what the networks learned from, what the stacking was fitted on, people with a scan in both parts of the split. The last lines are what the F test sees: how much of the squared error one more term takes away on the rows of the fit, and on test rows.

# %%
inflation = stats.inflation(stacked, **resampling)
write_table(inflation, run.path("stacking", "inflation.csv"), INFLATION)
show.inflation_table(choose(inflation, recipe=settings.headline["recipe"]), source=run.source)

# %% [markdown]
# ## Coefficients, and sex

# %%
write_table(stacked.coefficients, run.path("stacking", "coefficients.csv"), COEFFICIENTS)
stats.save_model_json(stacked, run.path("stacking", "model.json"))
stats.save_calibration_json(stacked, run.path("stacking", "calibration.json"))
data.write_reference(run)
show.coefficients_table(
    stats.paper_coefficients(),
    recorded.table("coefficients", model="TAS"),
    choose(stacked.coefficients, model="TAS"),
    source=run.source,
    headline=settings.headline,
)

# %% [markdown]
# The paper's sex coefficient is −0.168 years (p = 0.02): at the same brain, men are taken to be younger than women by two months, which the paper reads as male brains looking older. A coefficient that small can be significant only where residuals are small: at p = 0.02 on 2,563 rows their SD is at most 1.83 years, against a root mean square error of 5.10 on the paper's own test scans ([chapter 10](10_the_claims.ipynb), findings 5 and 6). In this run, TAS leaves {glue:text}`residuals:`.
#
# ## Scatter and residuals (Fig. 3 of the paper)

# %%
tested = choose(stacked.rows, **settings.headline)
show.model_scatter(tested, source=run.source)

# %%
show.model_residuals(tested, source=run.source)

# %% [markdown]
# ### The same of the recorded run
#
# A mark in a scatter is a person. Of real scans only quantiles by decade and a density in bins of ten years are kept ([why](../book/limits.md)).

# %%
real = {
    name: recorded.table(name, **kind) if kind else None
    for name in ("table1", "differences", "error_quantiles", "age_density")
}
if kind:
    quantiles = show.error_quantiles(real["error_quantiles"], source=recorded.source)
else:
    quantiles = show.Note(show.NO_RECORDING)
quantiles

# %%
show.age_density(real["age_density"], source=recorded.source) if kind else None

# %% [markdown]
# Old people are predicted too young and young people too old: regression towards the mean, which no stacking removes. A correction exists, needs the true age, and must therefore never enter an accuracy table.
#
# ## Doubts
#
# - AICBV is computed from the T1w. Whatever TA gains, a second network on T1w might gain, too ([chapter 9](09_does_cbv_help.ipynb)).
# - The intervals contain the luck of who was tested, not the luck of training: another seed gives other networks.
# - In paper mode the test set was chosen for being typical, and some of its people were trained on ([chapter 4](04_split.ipynb)).

# %% tags=["remove-input"]
rows = choose(table1, **settings.headline).set_index("model")
gain = choose(differences, **settings.headline, first="T", second="TA").iloc[0]
for model in ("T", "TA"):
    row = rows.loc[model]
    show.glue_number(f"mae_{model}", row["mae"], row["mae_low"], row["mae_high"], "years")
left = choose(stacked.coefficients, model="TAS", term="sex", fitted_on="in-sample")
tested_in_paper = choose(table1, model="TAS", mode="paper", fitted_on="in-sample")
if len(left):
    sd, rmse = left["residual_sd"].iloc[0], tested_in_paper["mse"].iloc[0] ** 0.5
    residuals = f"an SD of {show.number(sd, 1)} years on the rows it was fitted on, and errs by "
    residuals += f"{show.number(rmse, 1)} (root mean square) on test scans, in paper mode"
else:
    residuals = "no in-sample residuals, because it has no paper mode"
show.glue_number("residuals", residuals)
said = show.recorded_errors(real["table1"], real["differences"], recorded.words(kind))
show.glue_number("recorded", said)
show.glue_number("gain", gain["difference"], gain["low"], gain["high"], "years")
chapter.card()
