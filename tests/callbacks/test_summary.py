"""The summary says what rose and what fell."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from xstars_lightning.callbacks.summary import plot_curves, summarize

LOG = pd.DataFrame(
    {
        "step": range(20),
        "train_loss": [9.0, 7.0, *[5.0] * 16, 2.0, 4.0],
        "val_retrieval": [0.1, *[None] * 18, 0.6],
        "epoch": range(20),
    }
)


def test_start_and_end_of_each_metric():
    changes = summarize(LOG, ("train_", "val_"))
    assert changes == {"train_loss": pytest.approx((8.0, 3.0)), "val_retrieval": pytest.approx((0.1, 0.6))}


def test_curves_show_losses_and_retrieval():
    figure = plot_curves(LOG.rename(columns={"val_retrieval": "val_patch_a_b"}))
    left, right = figure.axes
    assert [line.get_label() for line in left.lines] == ["train_loss"]
    assert [line.get_label() for line in right.lines] == ["a_b"]
    plt.close(figure)
