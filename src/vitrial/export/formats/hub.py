"""Hugging Face Hub: timm's folder with a model card, ready to be uploaded as a repository."""

from __future__ import annotations

from pathlib import Path

from vitrial.atomic import write_text
from vitrial.export.card import model_card
from vitrial.export.exported import Exported
from vitrial.export.formats import timm

CARD = "README.md"
SUMMARY = f"timm's folder with a model card ({CARD})"
FILES = (*timm.FILES, CARD)
EXTRA = None
ORDER = 40


def write(exported: Exported, folder: Path) -> str:
    """Write timm's folder and its card."""
    card = model_card(exported)
    timm.write(exported, folder)
    write_text(folder / CARD, card)
    return (
        f"Complete the card's license, then: hf upload OWNER/NAME {folder}\n"
        'Anyone then loads it by timm.create_model("hf-hub:OWNER/NAME", pretrained=True)'
    )
