"""Downloading a file: continued where it broke off, checked, and whole or absent."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path

from filelock import FileLock

from vitrial.errors import VitrialError
from vitrial.events import counting

CHUNK = 2**20
"""Bytes that are held at a time."""
PATIENCE = 60
"""Seconds without a byte after which a server counts as lost."""


def download(url: str, path: Path, md5: str) -> None:
    """Download a file, unless it is there already.

    What has arrived lies beside it as `NAME.part`, and is continued by the next call. Several
    processes may ask for the same file: one downloads, the others wait for it.

    Args:
        url: Where it is, http or https.
        path: Where it is to be; folders are made.
        md5: Its checksum, 32 hexadecimal digits.

    Raises:
        VitrialError: There is no network, the server has no such file or breaks off, the content
            is another one, or it cannot be written.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_name(f".{path.name}.lock")):
            if path.exists():
                return
            continued = _fetch(url, part)
            if continued and md5_of(part) != md5:
                # The part may have been one of another file.
                part.unlink()
                _fetch(url, part)
            if (found := md5_of(part)) != md5:
                part.unlink()
                raise _failed(url, path, f"its MD5 is {found} and not {md5}")
            part.replace(path)
    except urllib.error.HTTPError as error:
        raise _failed(url, path, f"the server answers {error.code} {error.reason}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise _failed(url, path, str(reason) or type(reason).__name__) from error


def md5_of(path: Path) -> str:
    """The MD5 of a file, in hexadecimal digits, read in pieces.

    Raises:
        OSError: It cannot be read.
    """
    content = hashlib.md5(usedforsecurity=False)
    with (
        path.open("rb") as file,
        counting(f"Checking {path.name}", path.stat().st_size, unit="bytes") as advance,
    ):
        while piece := file.read(CHUNK):
            content.update(piece)
            advance(len(piece))
    return content.hexdigest()


def _fetch(url: str, part: Path) -> bool:
    """Download what a part lacks; whether it was continued."""
    have = part.stat().st_size if part.exists() else 0
    headers = {"User-Agent": "vitrial"} | ({"Range": f"bytes={have}-"} if have else {})
    request = urllib.request.Request(url, headers=headers)
    try:
        response = urllib.request.urlopen(request, timeout=PATIENCE)
    except urllib.error.HTTPError as error:
        error.close()
        if have and error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            return True  # nothing is missing: the checksum decides
        raise
    with response:
        # A server that knows no ranges sends the whole file.
        span = response.headers.get("Content-Range", "")
        continued = bool(have) and response.status == 206 and span.startswith(f"bytes {have}-")
        start = have if continued else 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length is not None else None
        with (
            part.open("ab" if continued else "wb") as file,
            counting(f"Downloading {part.stem}", total, start, "bytes") as advance,
        ):
            while piece := response.read(CHUNK):
                file.write(piece)
                advance(len(piece))
    arrived = part.stat().st_size
    if total is not None and arrived < total:
        raise ConnectionError(
            f"the connection broke off after {arrived:,} of {total:,} bytes; the next run resumes "
            "from there"
        )
    return continued


def _failed(url: str, path: Path, why: str) -> VitrialError:
    return VitrialError(
        f"'{path.name}' could not be downloaded ({why}): try again, or download {url} and put it "
        f"at {path}."
    )
