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
# # 5 · How well does each network learn?
#
# **Question.** What can one VGG8 read from the T1w, and what one from the AICBV map?
#
# **Answer.** On people it has never seen, the T network errs by {glue:text}`mae_T:` and the A network by {glue:text}`mae_A:`. Guessing the median age would err by {glue:text}`guess:`.

# %% tags=["parameters"]
run = "demo"
profile = "demo"

# %%
from brainage_lib import models, show, stats
from brainage_lib.imaging import grid
from brainage_lib.run import open_chapter
from brainage_lib.tables import Recorded, choose
from brainage_lib.train import cohort

chapter = open_chapter("05_vgg8_training", run=run, profile=profile)
run, settings = chapter.run, chapter.run.profile
recorded = Recorded(run.path("recorded"))

# %% [markdown]
# ## The network
#
# VGG8 as the paper describes it: five blocks of convolution, batch normalisation, ReLU and max pooling with 16, 32, 64, 128 and 256 channels, then three dense layers down to one number. The paper prints neither the size of the kernels nor that of the image; 3×3×3 with padding is our reading.

# %%
network = models.VGG8(grid(settings.grid_mm).shape)
network

# %% [markdown]
# At 1 mm it has {glue:text}`large:`. The recipe *paper* trains this network as the paper prints. The recipe *sound*, where a run has it, is ours: a network without dense layers that sees each scan placed and lit otherwise every time, and keeps a moving average of its weights.

# %%
described = cohort.describe_networks(settings)
unprinted = described.loc[described["printed"] == "not printed", "setting"]
show.table(
    described,
    by={"setting": "Setting"},
    columns={
        "printed": "Paper prints",
        **{recipe: f"Recipe {recipe}, this run" for recipe in settings.recipes},
    },
    title=f"{len(unprinted)} of {len(described)} settings are not printed: "
    + show.listed([name[:1].lower() + name[1:] for name in unprinted]),
    caption="What the paper prints of its training, and what this run does. "
    f"Grid of {settings.grid_mm} mm; the sound mode alone is trained with other recipes "
    "than the paper's",
    source=run.source,
    name="network",
)

# %% [markdown]
# ## Training
#
# The paper: Adam at 1e-4, mean absolute error as the loss, three scans a batch, stopped when the validation error has not improved for ten epochs; we keep the weights of the best epoch (the paper does not say so). One training a network, mode and fold. A training that was interrupted goes on where it stopped.

# %%
trained = cohort.fit_networks(run)
show.table(
    trained.assign(kind=trained["recipe"] + " recipe, " + trained["mode"] + " mode"),
    by={"kind": "Recipe and mode", "net": "Network", "seed": "Seed", "fold": "Fold"},
    columns={
        "n_train": ("Training scans", "", 0),
        "epochs": ("Epochs", "", 0),
        "best_epoch": ("Kept epoch", "", 0),
        "validation_mae": ("Validation MAE", "years", 2),
    },
    title=f"{len(trained)} trainings kept epochs {trained['best_epoch'].min()} to "
    f"{trained['best_epoch'].max()}, with {show.number(trained['validation_mae'].min())} to "
    f"{show.number(trained['validation_mae'].max())} years on validation scans",
    caption="Validation scans are not test scans. In recipe paper they decide when training stops",
    source=run.source,
    name="trainings",
)

# %%
show.training_curves(cohort.read_logs(run), source=run.source)

# %% [markdown]
# Where the line of the training scans falls below that of the validation scans, the network has begun to remember people. The paper's stacking is fitted on just those remembered rows ([chapter 6](06_stacking_and_anova.ipynb)).
#
# ## Predictions on test scans

# %%
predictions = cohort.predict_networks(run)
show.predicted_against_age(predictions, source=run.source)

# %% [markdown]
# ## Beside a model without a network
#
# A linear support vector regression on the voxels, smoothed a little, is fitted on the same people of each fold. What a network does not do better is not owed to its depth. How much is smoothed was chosen by the error on tested OAS1 scans, which flatters the regression a little there.

# %%
errors = stats.network_errors(predictions, settings.bootstrap, settings.seed)
main = choose(errors, mode=settings.headline["mode"])
show.three_columns(
    None,
    recorded.table("networks"),
    errors,
    by={"recipe": "Recipe", "mode": "Mode", "net": "Network", "seed": "Seed"},
    measures={"mae": show.Measure("MAE", "years"), "guess_mae": show.Measure("Guess", "years")},
    title="MAE before stacking: "
    + show.listed([f"{row.recipe} {row.net} {show.number(row.mae)}" for row in main.itertuples()])
    + " years",
    caption="Before any stacking, on test scans, 95 % interval. Guess: the tested people's median "
    "age for everyone. linear-svr: the regression on smoothed voxels. The paper prints stacked "
    "errors alone",
    source=run.source,
    name="network-errors",
)

# %% [markdown]
# ## Doubts
#
# - The paper trains at most 100 epochs. The number of epochs of this run stands in the table above; a demo that stops early has not shown what the networks could do.
# - One training a network, but for a second seed where it is listed. The spread between seeds is not in any interval here.
# - The network sees the scanner, too. Where studies differ in age, it can use that.

# %% tags=["remove-input"]
headline = choose(main, recipe=settings.headline["recipe"], seed=min(settings.seeds))
for row in headline.itertuples():
    show.glue_number(f"mae_{row.net}", row.mae, row.mae_low, row.mae_high, "years")
show.glue_number("guess", headline["guess_mae"].iloc[0], unit="years", digits=1)
large = models.VGG8(grid(1).shape)
whole = models.count_parameters(large)
dense = show.percent(1 - models.count_parameters(large.blocks) / whole)
large = f"{show.number(whole / 1e6, 1)} million numbers to learn, {dense} of them in dense layers"
show.glue_number("large", large)
chapter.card()
