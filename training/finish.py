# SPDX-License-Identifier: Apache-2.0
"""What is written while a stage trains and when it ends: log, checkpoints, curve, weights."""

from __future__ import annotations

import csv
import logging
import os
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

from lsf_backend.model.checkpoint import save_checkpoint
from lsf_backend.model.checkpoint_info import CheckpointInfo
from lsf_backend.model.lsf import LSFModel
from training import runs
from training.baselines.base import Baseline
from training.baselines.codes import SpeechToCodes
from training.baselines.registry import fusion_of
from training.module import Stage
from training.runs import RunFacts
from training.settings import StageConfig
from training.speech import TrainedHubert

log = logging.getLogger(__name__)
LICENCE = "of the data it was trained on; see where that comes from"


class Log(L.Callback):
    """Writes ``log.csv``, a row for each epoch; rows travel in the checkpoint."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: list[dict[str, float]] = []

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Add the epoch's means."""
        assert isinstance(pl_module, Stage)
        self.rows.append(dict(pl_module.row))
        if trainer.is_global_zero:
            write_log(self.folder / runs.LOG, self.rows)
            told = (f"{k} {v:.5g}" for k, v in pl_module.row.items() if "loss" in k or "mm" in k)
            log.info("epoch %d: %s", trainer.current_epoch, ", ".join(told))

    def state_dict(self) -> dict[str, Any]:
        """Rows so far."""
        return {"rows": self.rows}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from the rows of a checkpoint."""
        self.rows = list(state_dict["rows"])


class Patience(EarlyStopping):
    """Early stopping that is still reached when a stopped run is started again."""

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Train nothing more where patience was over."""
        if self.wait_count >= self.patience:
            trainer.should_stop = True


def callbacks(settings: StageConfig, folder: Path) -> list[L.Callback]:
    """Log, early stopping and checkpoints of a stage."""
    made: list[L.Callback] = [Log(folder)]
    if settings.patience:
        made.append(Patience("val_loss", patience=settings.patience, min_delta=0.0))
    best, last = (Path(name).stem for name in (runs.BEST, runs.LAST))
    how = {"save_top_k": 1, "enable_version_counter": False}
    made.append(ModelCheckpoint(folder, filename=best, monitor="val_loss", **how))
    # Its own: Lightning's ``save_last`` saves only when the best is saved.
    made.append(ModelCheckpoint(folder, filename=last, **how))
    return made


def write_log(path: Path, rows: list[dict[str, float]]) -> None:
    """Write rows whole or not at all."""
    part = path.with_name(path.name + ".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(key for row in rows for key in row)))
        writer.writeheader()
        writer.writerows(rows)
    os.replace(part, path)


def finish(
    facts: RunFacts, folder: Path, module: Stage, trainer: L.Trainer, seconds: float
) -> None:
    """Write the best weights, the engine's checkpoint and the curve, and that all is there."""
    best = torch.load(folder / runs.BEST, map_location="cpu", weights_only=True)
    module.load_state_dict(best["state_dict"])
    runs.save_weights(folder, module.system, module.speech)
    whole = fusion_of(facts.config.system) == "hifb" and not facts.config.stage2.extras.without
    if facts.stage == "stage2" and whole:
        export_lsf(folder / runs.MODEL, module.system, facts, module.speech)
    rows = next(one.rows for one in trainer.callbacks if isinstance(one, Log))  # type: ignore[attr-defined]
    draw_curve(folder / "curve.png", rows, f"{facts.config.system}, {facts.stage}")
    shown = {
        "epochs": len(rows),
        "best_epoch": int(min(rows, key=lambda row: row["val_loss"])["epoch"]),
        "val_loss": min(row["val_loss"] for row in rows),
        "seconds_of_last_session": round(seconds, 1),
        "conditioning": module.system.conditioning,
    }
    runs.write_json(folder / runs.FINISHED, shown)


def lsf_model(system: Baseline) -> LSFModel:
    """The product's model of a trained LSF-Animation system."""
    assert isinstance(system, SpeechToCodes) and system.config.fusion == "hifb"
    model = LSFModel(system.config.model)
    model.vqvae.load_state_dict(system.prior.state_dict())
    model.sie.load_state_dict(system.encoder.get_submodule("sie").state_dict())
    return model.eval()


def take_lsf(system: Baseline, model: LSFModel) -> None:
    """Put the weights of the product's model into an LSF-Animation system."""
    assert isinstance(system, SpeechToCodes) and system.config.fusion == "hifb"
    system.prior.load_state_dict(model.vqvae.state_dict())
    system.encoder.get_submodule("sie").load_state_dict(model.sie.state_dict())


def export_lsf(
    folder: Path, system: Baseline, facts: RunFacts, speech: TrainedHubert | None
) -> CheckpointInfo:
    """Write a checkpoint folder that the engine ``lsf`` loads."""
    model = lsf_model(system)
    data = facts.config.data
    version = facts.face.flame_version if facts.face.space == "flame" else None
    info = CheckpointInfo(
        model=model.config,
        flame_version=version,
        training_data=f"{(data.store or data.cache or Path()).name}, split {facts.split}",
        licence=LICENCE,
    )
    hubert = None if speech is None else speech.hubert.network.state_dict()
    return save_checkpoint(folder, model, info, hubert)


def draw_curve(path: Path, rows: list[dict[str, float]], title: str) -> None:
    """Plot training and held-out loss over epochs."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    epochs = [row["epoch"] for row in rows]
    for name, label in (("train_loss", "training"), ("val_loss", "held out")):
        axes.plot(epochs, [row[name] for row in rows], marker=".", label=label)
    axes.set(title=title, xlabel="epoch", ylabel="loss", yscale="log")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.legend()
    axes.grid(alpha=0.3, which="both")
    figure.savefig(path, dpi=110)
