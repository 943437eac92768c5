"""What backbones take of a device, in words."""

from __future__ import annotations

import math

import pandas as pd

from vitrial.records import Record

COLUMNS = {
    "parameters": ("Params M", 1e-6, "{:.1f}"),
    "macs": ("MACs G", 1e-9, "{:.2f}"),
    "training_bytes": ("Step MB", 1e-6, "{:,.0f}"),
    "inference_bytes": ("Infer MB", 1e-6, "{:,.0f}"),
    "training_images_per_second": ("Train /s", 1, "{:.1f}"),
    "latency_ms": ("Latency ms", 1, "{:.1f}"),
    "images_per_second": ("Infer /s", 1, "{:.1f}"),
    "joules_per_training_image": ("Train J", 1, "{:.2f}"),
}
"""Headings, units and digits."""
BUSY = 0.5
"""Load per core from which the machine is said to be busy: timings then vary by tens of percent."""
RATIO = "largest / smallest"


def cost_words(costs: Record) -> pd.DataFrame:
    """A row per backbone, and one of ratios: how alike they are. Strings throughout."""
    table = pd.DataFrame(costs["rows"])
    shown = {name: how for name, how in COLUMNS.items() if table[name].notna().any()}
    words = pd.DataFrame({"Backbone": table["backbone"]})
    for name, (heading, factor, pattern) in shown.items():
        words[heading] = [pattern.format(value * factor) for value in table[name]]
    if len(table) > 1:
        ratios = {how[0]: f"{table[name].max() / table[name].min():.2f}" for name, how in
                  shown.items()}  # fmt: skip
        words.loc[len(words)] = {"Backbone": RATIO, **ratios}
    return words


def front_words(arms: pd.DataFrame, endpoint: str) -> pd.DataFrame:
    """Each arm's endpoint beside what it costs, and whether another arm beats it in everything."""
    return pd.DataFrame(
        {
            "Arm": arms["arm"],
            endpoint: ["-" if math.isnan(v) else f"{v:.3f}" for v in arms["endpoint"]],
            "Latency ms": arms["latency_ms"].map("{:.1f}".format),
            "Step MB": (arms["training_bytes"] / 1e6).map("{:,.0f}".format),
            "Train /s": arms["training_images_per_second"].map("{:.1f}".format),
            "Dominated": [
                "-" if math.isnan(value) else "no" if front else "yes"
                for value, front in zip(arms["endpoint"], arms["front"], strict=True)
            ],
        }
    )


def device_sentence(costs: Record) -> str:
    """Where and how it was measured."""
    machine = costs["machine"]
    threads = f" ({machine['cpu']}, {machine['threads']} threads)" * (machine["device"] == "cpu")
    said = (
        f"On {machine['device']}{threads}, {machine['precision']}, images of {costs['crop']} "
        f"pixels. Step: memory of a training step of {costs['batch_size']} images; infer: of 32 "
        "images; /s: images per second; latency of one image; MACs: multiply-accumulate operations "
        "of one image."
    )
    if costs["busy"] >= BUSY:
        said += (
            f" The machine was busy before (load {costs['busy']:.1f} per core): times are of a "
            "busy machine, though all backbones took turns."
        )
    return said
