"""Reading and decoding images of a data set, several at once, in order."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from vitrial.data.io.decode import decode, is_dicom
from vitrial.data.io.decoded import Decoded, DecodeError
from vitrial.data.manifest import Reader
from vitrial.errors import Problem, VitrialError
from vitrial.protocol import Image

THREADS = min(32, (os.cpu_count() or 1) + 2)
"""Images that are decoded at once: more than there are cores, since some wait for their files."""


@dataclass(frozen=True)
class Outcome:
    """What became of an image.

    Attributes:
        name: In the manifest.
        problems: What is wrong or worth knowing.
        was_read: Whether its file could be read.
        sha256: Of its file.
        length: Likewise, in bytes.
        is_dicom: Whether it is a DICOM file.
        decoded: None where it cannot be used.
    """

    name: str
    problems: list[Problem]
    was_read: bool = True
    sha256: str = ""
    length: int = 0
    is_dicom: bool = False
    decoded: Decoded | None = None


def decode_all(names: list[str], reader: Reader, image: Image) -> Iterator[Outcome]:
    """Read and decode images in order, a few ahead of what is taken."""
    ahead: deque[Future[Outcome]] = deque()
    with ThreadPoolExecutor(THREADS) as pool:
        for name in names:
            ahead.append(pool.submit(_decode_one, name, reader, image))
            if len(ahead) > 4 * THREADS:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def _decode_one(name: str, reader: Reader, image: Image) -> Outcome:
    try:
        content = reader.read(name)
    except VitrialError as error:
        return Outcome(name, [Problem(name, str(error), "correct the file")], was_read=False)
    except OSError as error:
        what = f"cannot be read: {error.strerror or error}"
        fix = "check that the file is there and may be read"
        return Outcome(name, [Problem(name, what, fix)], was_read=False)
    dicom = is_dicom(content)
    try:
        decoded = decode(content, image)
    except DecodeError as error:
        return Outcome(name, [Problem(name, error.what, error.fix)], is_dicom=dicom)
    notes = [Problem(name, what, fix, fatal=False) for what, fix in decoded.notes]
    sha256 = hashlib.sha256(content).hexdigest()
    return Outcome(name, notes, True, sha256, len(content), dicom, decoded)
