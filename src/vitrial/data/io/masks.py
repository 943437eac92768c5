"""Lesion masks: where in an image the lesion is."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps

from vitrial.data.io.decode import FORMATS, is_dicom, require_dicom
from vitrial.data.io.decoded import DecodeError
from vitrial.data.io.quiet import quiet
from vitrial.data.manifest import Reader
from vitrial.errors import VitrialError

SEPARATOR = "|"
"""Between the paths of a manifest's `mask`."""


def read_mask(reader: Reader, mask: str, side: int | None = None) -> np.ndarray:
    """Read the masks of an image as one: their union.

    Whatever is not zero is lesion; of JPEG files, whose zeros are not exact, the brighter half;
    transparent parts are not. A mask is turned as its EXIF orientation says, as its image is. A
    pixel of a resized mask is lesion if at least half of what it covers is; of a lesion too small
    for that, the pixels that it covers most are kept, so that none disappears.

    Args:
        reader: Of the data set.
        mask: Paths joined by `|`: image files, of whose frames the first counts, or DICOM files,
            of whose frames the middle one counts.
        side: Height and width to resize to; if left out, all masks are brought to the size of the
            first.

    Returns:
        bool (height, width), or (side, side).

    Raises:
        VitrialError: A mask is missing, damaged or no image, or pydicom is needed and absent.
    """
    lesions = [_lesion(reader, name) for name in mask.split(SEPARATOR)]
    shape = lesions[0].shape if side is None else (side, side)
    union = np.any([_resized(lesion, shape) for lesion in lesions], axis=0)
    return np.asarray(union)


def is_resized(mask: tuple[int, int], image: tuple[int, int]) -> bool:
    """Whether a mask is its image at another resolution, each side rounded to whole pixels."""
    return abs(mask[0] * image[1] - mask[1] * image[0]) < sum(image)


def _lesion(reader: Reader, name: str) -> np.ndarray:
    """One mask, bool (height, width)."""
    try:
        content = reader.read(name)
    except OSError as error:
        raise VitrialError(f"The mask '{name}' cannot be read: {error}.") from error
    dicom = is_dicom(content)
    if dicom:
        require_dicom()
    try:
        with quiet():
            return _from_dicom(content) if dicom else _from_picture(content)
    except DecodeError as error:
        raise VitrialError(f"The mask '{name}' {error.what}: {error.fix}.") from error
    except MemoryError:
        raise
    except Exception as error:  # a damaged file can raise almost anything; pydicom may quote it
        raise VitrialError(
            f"The mask '{name}' is no image, or is damaged ({type(error).__name__}): copy or "
            "download it again."
        ) from None


def _from_picture(content: bytes) -> np.ndarray:
    with Pillow.open(io.BytesIO(content), formats=FORMATS) as picture:
        lossy = picture.format in ("JPEG", "MPO")
        upright = ImageOps.exif_transpose(picture)
    if upright.mode in ("1", "L", "I", "F") or upright.mode.startswith("I;16"):
        values = np.asarray(upright)
    else:
        colors = np.asarray(upright.convert("RGB" if upright.mode == "CMYK" else "RGBA"))
        values = colors[..., :3].max(axis=-1)
        if colors.shape[-1] == 4:
            values = values * (colors[..., 3] > 0)
    return np.asarray(values >= 128 if lossy else values != 0)


def _from_dicom(content: bytes) -> np.ndarray:
    import pydicom
    from pydicom.pixels.utils import pixel_array
    from pydicom.uid import RLELossless

    from vitrial.data.io.dicom_size import refuse_inflated, refuse_large

    start = io.BytesIO(content)
    refuse_inflated(start)
    file = pydicom.dcmread(start, force=True)
    syntax = file.file_meta.TransferSyntaxUID
    frames = int(file.get("NumberOfFrames") or 1)
    refuse_large(file, frames, frames // 2, syntax.is_compressed and syntax.is_encapsulated)
    # pylibjpeg-rle panics past every `except` where a file is damaged.
    plugin = "pydicom" if syntax == RLELossless else ""
    values = pixel_array(file, index=frames // 2, decoding_plugin=plugin)
    return np.asarray(values.any(axis=-1) if values.ndim == 3 else values != 0)


def _resized(lesion: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """A bool mask in another (height, width)."""
    if lesion.shape == shape:
        return lesion
    height, width = shape
    picture = Pillow.fromarray(lesion.astype(np.float32))
    share = np.asarray(picture.resize((width, height), Pillow.Resampling.BOX))
    resized = share >= 0.5
    if lesion.any() and not resized.any():
        resized = share == share.max()
    return np.asarray(resized)
