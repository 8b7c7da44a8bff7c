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
from brainage_lib.tables import choose
from brainage_lib.train import cohort

chapter = open_chapter("05_vgg8_training", run=run, profile=profile)
run, settings = chapter.run, chapter.run.profile

# %% [markdown]
# ## The network
#
# VGG8 as the paper describes it: five blocks of convolution, batch normalisation, ReLU and max pooling with 16, 32, 64, 128 and 256 channels, then three dense layers down to one number. The paper prints neither the size of the kernels nor that of the image; 3×3×3 with padding is our reading.

# %%
network = models.VGG8(grid(settings.grid_mm).shape)
network

# %%
large = models.VGG8(grid(1).shape)
whole = models.count_parameters(large)
show.table(
    cohort.describe_network(network, settings),
    by={"setting": "Setting"},
    columns={"paper": "Paper", "this_run": "This run"},
    title=f"VGG8 on the {settings.grid_mm} mm grid has "
    f"{models.count_parameters(network):,} parameters",
    caption=f"At 1 mm it has {show.number(whole / 1e6, 1)} million, "
    f"{show.percent(1 - models.count_parameters(large.blocks) / whole)} of them in dense layers",
    source=run.source,
    name="network",
)

# %% [markdown]
# ## Training
#
# Adam at 1e-4, mean absolute error as the loss, three scans a batch, stopped when the validation error has not improved for ten epochs; the weights of the best epoch are kept (the paper does not say so). One training a network, mode and fold. A training that was interrupted goes on where it stopped.

# %%
trained = cohort.fit_networks(run)
show.table(
    trained,
    by={"mode": "Mode", "net": "Network", "fold": "Fold"},
    columns={
        "n_train": ("Training scans", "", 0),
        "epochs": ("Epochs", "", 0),
        "best_epoch": ("Best epoch", "", 0),
        "validation_mae": ("Validation MAE", "years", 2),
    },
    title=f"{len(trained)} trainings",
    caption="Validation scans decide when training stops; they are not test scans",
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
# ## Doubts
#
# - The paper trains at most 100 epochs. The number of epochs of this run stands in the table above; a demo that stops early has not shown what the networks could do.
# - One seed. The spread between seeds is not in any interval here.
# - The network sees the scanner, too. Where studies differ in age, it can use that.

# %% tags=["remove-input"]
test = choose(predictions, role="test", mode=settings.headline["mode"])
for net, rows in test.groupby("net"):
    scores = stats.mae_with_interval(rows, settings.bootstrap, settings.seed)
    show.glue_number(f"mae_{net}", *scores, "years")
ages = test.drop_duplicates("scan_id")["age"]
show.glue_number("guess", (ages - ages.median()).abs().mean(), unit="years", digits=1)
chapter.card()
