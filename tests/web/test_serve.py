"""The page that answers a dropped image: real files, bad files, and requests that are refused."""

import io
import struct
import zlib
from dataclasses import replace

import numpy as np
import pytest
from anyio.from_thread import start_blocking_portal
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.testclient import TestClient

from served import encoded, noise
from vitrial.web.serve import MOST_BYTES, received, serve_app

PICTURE = encoded(noise(48, 64))


def dicom(pixels=None):
    file = Dataset()
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.file_meta.MediaStorageSOPClassUID = file.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    file.file_meta.MediaStorageSOPInstanceUID = file.SOPInstanceUID = generate_uid()
    file.PatientName, file.PatientID = "Doe^Jane", "secret-id"
    if pixels is not None:
        file.Rows, file.Columns = pixels.shape
        file.SamplesPerPixel, file.PixelRepresentation = 1, 0
        file.BitsAllocated = file.BitsStored = 16
        file.HighBit, file.PhotometricInterpretation = 15, "MONOCHROME2"
        file.PixelData = pixels.astype(np.uint16).tobytes()
    out = io.BytesIO()
    file.save_as(out, enforce_file_format=True)
    return out.getvalue()


def bomb(width, height):
    """A PNG of a few bytes that says that it is enormous."""

    def chunk(kind, data):
        sum_ = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", sum_)

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    parts = [chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def frames():
    file = io.BytesIO()
    first, second = (Image.fromarray(noise(40, 40) + shift) for shift in (0, 50))
    first.save(file, "GIF", save_all=True, append_images=[second])
    return file.getvalue()


GOOD = {
    "PNG": (PICTURE, "64 x 48 pixels, L."),
    "JPEG": (encoded(noise(48, 64, 3), "JPEG"), "64 x 48 pixels, RGB."),
    "TIFF": (encoded(noise(48, 64, 3), "TIFF"), "64 x 48 pixels, RGB."),
    "16-bit PNG": (encoded(noise(48, 64, dtype=np.uint16) * 300), "has more than 8 bits"),
    "CMYK JPEG": (encoded(noise(48, 64, 3), "JPEG", "CMYK"), "is in CMYK"),
    "animated GIF": (frames(), "has several frames, of which the first is used"),
    "DICOM": (dicom(noise(48, 64) * 20), "DICOM MONOCHROME2 16 bit"),
}
BAD = {
    "empty": (b"", "is an empty file of 0 bytes"),
    "one byte": (b"\0", "is not an image"),
    "text": (b"this is no picture", "is not an image but text"),
    "truncated PNG": (PICTURE[: len(PICTURE) // 2], "is damaged"),
    "PNG of a header alone": (PICTURE[:40], "damaged"),
    "PNG with a wrong checksum": (PICTURE[:60] + b"\0\0\0\0" + PICTURE[64:], "is damaged"),
    "truncated JPEG": (GOOD["JPEG"][0][:600], "is damaged"),
    "truncated TIFF": (GOOD["TIFF"][0][:300], "damaged"),
    "truncated GIF": (GOOD["animated GIF"][0][:60], "damaged"),
    "SVG": (b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>", "but text"),
    "HTML": (b"<!doctype html><script>alert(1)</script>", "but text"),
    "PDF": (b"%PDF-1.7\n\x00\xff binary", "is not an image"),
    "zip": (b"PK\x03\x04" + bytes(100), "is not an image"),
    "program": (b"\x7fELF" + bytes(200), "is not an image"),
    "gzip": (zlib.compress(b"x" * 1000), "is not an image"),
    "billions of pixels": (bomb(60_000, 60_000), "pixels: make it smaller"),
    "a very long line": (bomb(2**30, 8), "pixels: make it smaller"),
    "too small": (encoded(noise(4, 4)), "is only 4 x 4 pixels"),
    "one pixel high": (encoded(noise(1, 64)), "is only 64 x 1 pixels"),
    "float TIFF that is not finite": (
        encoded(np.full((20, 20), np.nan, np.float32), "TIFF"),
        "not finite numbers",
    ),
    "DICOM without pixels": (dicom(), "without an image"),
    "truncated DICOM": (GOOD["DICOM"][0][:-500], "DICOM file that cannot be decoded"),
    "DICOM's preamble alone": (bytes(128) + b"DICM", "DICOM file"),
}


@pytest.mark.parametrize("name", GOOD)
def test_a_picture_is_answered_by_every_arm(ask, name):
    content, said = GOOD[name]
    response = ask(content)
    assert response.status_code == 200, response.text
    assert said in response.text
    assert response.text.count("<article") == 2
    for arm in ("test_resnet / random", "test_vit / random"):
        assert f"{arm}</h3>" in response.text
    assert "Doe" not in response.text
    assert "secret" not in response.text


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_refused_with_a_sentence(ask, name):
    content, said = BAD[name]
    response = ask(content)
    assert response.status_code == 422
    assert response.headers["content-type"].startswith("text/plain")
    assert said in response.text
    assert response.text.startswith("The image ")
    assert response.text.endswith(".")
    assert "Traceback" not in response.text
    assert "Doe" not in response.text


def test_a_file_that_is_too_large_is_refused(ask, monkeypatch):
    monkeypatch.setattr("vitrial.web.serve.MOST_BYTES", 2**20)
    response = ask(bytes(2**20 + 1))
    assert response.status_code == 413
    assert response.text == "The file is larger than 1 MiB: make it smaller."
    assert ask(bytes(2**20)).status_code == 422


def test_a_file_without_end_is_refused_once_it_is_too_large():
    sent = 0

    async def receive():
        nonlocal sent
        sent += 2**20
        return {"type": "http.request", "body": bytes(2**20), "more_body": True}

    with start_blocking_portal() as portal, pytest.raises(HTTPException) as refused:
        portal.call(received, Request({"type": "http"}, receive))
    assert refused.value.status_code == 413
    assert sent == MOST_BYTES + 2**20


def test_nothing_is_stored(ask, odd_study):
    def there():
        return {path: path.stat().st_mtime_ns for path in odd_study.path.parent.rglob("*")}

    before = there()
    ask(PICTURE)
    ask(b"bad")
    assert there() == before


def test_names_are_escaped(panel, monkeypatch):
    hostile = replace(panel, name="<script>alert(1)</script>", classes=["<b>", '"&'])
    client = TestClient(serve_app(hostile, "127.0.0.1"), base_url="http://127.0.0.1:8572")
    headers = {"origin": "http://127.0.0.1:8572"}
    pages = client.get("/").text, client.post("/answer", content=PICTURE, headers=headers).text
    assert "<script>alert" not in "".join(pages)
    assert "&lt;script&gt;" in pages[0]
    assert "<strong>&lt;b&gt;" in pages[1] or "<strong>&#34;&amp;" in pages[1]


def test_the_page_says_that_it_is_no_medical_device_and_loads_nothing_from_elsewhere(client):
    page = client.get("/")
    assert "not a medical device" in page.text
    assert "http" not in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert client.get("/style.css").headers["content-type"].startswith("text/css")
    assert client.get("/serve.js").headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize(
    "origin", [None, "null", "http://evil.example", "https://127.0.0.1:8572", "http://127.0.0.1:1"]
)
def test_only_the_servers_own_page_may_send_an_image(client, origin):
    headers = {} if origin is None else {"origin": origin}
    response = client.post("/answer", content=PICTURE, headers=headers)
    assert response.status_code == 403
    assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_an_image_is_sent_by_post_alone(client, method):
    own = {"origin": "http://127.0.0.1:8572"}
    assert client.request(method, "/answer", headers=own).status_code == 405
    response = client.options("/answer", headers={"origin": "http://evil.example"})
    assert response.status_code == 403
    assert "access-control-allow-origin" not in response.headers
