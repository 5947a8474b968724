"""Rasters over HTTP, from a server that fails on demand."""

import socket
import struct
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import torch

from xstars_lightning.datasets import NativeRasterDataset, remote
from xstars_lightning.datasets.handles import RemoteReadError, _opened, open_raster
from xstars_lightning.datasets.remote import gdal_name, is_remote
from xstars_lightning.sensors import get_sensor

RGB = get_sensor("sentinel2_rgb")
PIXELS = np.random.default_rng(0).integers(1, 255, (3, 512, 512), dtype=np.uint8)
LAST = slice(4900, 5100), slice(-5100, -4900)  # in the last of the tiles


class Handler(SimpleHTTPRequestHandler):
    """Serves ranges, or fails in all that an attempt asks for, however often GDAL itself asks."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def do_HEAD(self):
        self.answer(b"")

    def do_GET(self):
        self.answer(None)

    def answer(self, body):
        self.server.requests.append(self.path)
        if len(self.server.pauses) < self.server.bad_attempts:
            return self.fail(self.server.failure)
        file = self.server.folder / self.path[1:]
        if not file.exists():
            return self.send_error(404)
        content, size = file.read_bytes(), file.stat().st_size
        begin, end = 0, size - 1
        if "Range" in self.headers:
            begin, end = (int(value) for value in self.headers["Range"].removeprefix("bytes=").split("-"))
            end = min(end, size - 1)
        self.send_response(206 if "Range" in self.headers else 200)
        if "Range" in self.headers:
            self.send_header("Content-Range", f"bytes {begin}-{end}/{size}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(end - begin + 1))
        self.end_headers()
        if body is None:
            self.wfile.write(content[begin : end + 1])
        return None

    def fail(self, failure):
        if failure != "reset":
            return self.send_error(failure)
        # Closed with a lingering time of 0, a connection is reset.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True
        return None


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A server of ``tmp_path``; the pauses between attempts are noted, not waited for."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.folder, server.requests, server.pauses, server.bad_attempts = tmp_path, [], [], 0
    monkeypatch.setattr(remote.time, "sleep", server.pauses.append)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    monkeypatch.setenv("GDAL_HTTP_MAX_RETRY", "0")  # GDAL would wait for minutes
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    server.url = f"http://127.0.0.1:{server.server_port}"
    _opened.cache_clear()
    remote._lost.clear()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
    _opened.cache_clear()


@pytest.fixture
def url(server, write_raster):
    """A raster of four tiles of 200 kB each, so that none is read with the header."""
    tiled = {"tiled": True, "blockxsize": 256, "blockysize": 256}
    write_raster("a.tif", PIXELS, **tiled)
    return f"{server.url}/a.tif"


def test_names():
    assert gdal_name("https://host/a.tif") == "/vsicurl/https://host/a.tif"
    assert gdal_name("s3://bucket/a.tif") == "/vsis3/bucket/a.tif"
    assert gdal_name("/vsizip/a.zip/a.tif") == "/vsizip/a.zip/a.tif"
    remote_names = ["https://host/a", "gs://bucket/a", "/vsis3/bucket/a", "/vsizip//vsicurl/https://host/a"]
    assert all(is_remote(name) for name in remote_names)
    assert not any(is_remote(name) for name in ["/data/a.tif", "a.tif", "/vsizip/a.zip/a.tif", "/vsimem/a"])


def test_a_remote_raster_is_read_as_a_local_one(url, server):
    dataset = NativeRasterDataset(url, RGB)
    sample = dataset[LAST]
    assert torch.equal((sample["image"] * 255).round().byte(), torch.tensor(PIXELS[:, -22:-2, -22:-2]))
    assert set(server.requests) == {"/a.tif"}  # no side files are asked for


@pytest.mark.parametrize("failure", [429, 503, "reset"])
def test_a_server_that_fails_twice_when_a_raster_is_opened(failure, url, server):
    server.failure, server.bad_attempts = failure, 2
    assert open_raster(url, RGB).source.shape == (512, 512)
    assert server.pauses == [0.5, 2.0]


@pytest.mark.parametrize("failure", [404, 503, "reset"])
def test_a_server_that_fails_twice_in_mid_epoch(failure, url, server):
    dataset = NativeRasterDataset(url, RGB)
    dataset[0:200, -200:0]
    server.failure, server.bad_attempts = failure, 2
    sample = dataset[100:300, -5100:-4900]
    assert torch.equal((sample["image"] * 255).round().byte(), torch.tensor(PIXELS[:, -22:-2, 10:30]))
    assert server.pauses == [0.5, 2.0]


@pytest.mark.parametrize("failure", [404, 503, "reset"])
def test_a_raster_that_vanishes_for_good(failure, url, server):
    dataset = NativeRasterDataset(url, RGB)
    server.failure, server.bad_attempts = failure, 10
    with pytest.raises(
        RemoteReadError, match=r"http://127.*/a\.tif after 4 attempts: .*Check that it still exists"
    ):
        dataset[100:300, -5100:-4900]
    assert server.pauses == [0.5, 2.0, 8.0]


@pytest.mark.parametrize("failure", [401, 403, 404, 410])
def test_a_final_answer_is_taken_at_once_and_remembered(failure, url, server):
    server.failure, server.bad_attempts = failure, 10
    for _ in range(2):
        with pytest.raises(RemoteReadError, match=rf"a\.tif: HTTP response code: {failure}\. Check that"):
            open_raster(url, RGB)
        requests, server.requests = server.requests, []
    assert server.pauses == requests == []


def test_a_final_answer_is_forgotten_in_time(url, server, monkeypatch):
    server.failure, server.bad_attempts = 404, 10
    with pytest.raises(RemoteReadError):
        open_raster(url, RGB)
    server.bad_attempts = 0
    with pytest.raises(RemoteReadError):
        open_raster(url, RGB)
    monkeypatch.setattr(remote, "REMEMBERED", 0.0)
    assert open_raster(url, RGB).source.shape == (512, 512)


@pytest.mark.parametrize(("failure", "dead"), [(404, True), (503, False)])
def test_an_open_raster_that_vanishes_is_remembered_but_no_server_that_is_busy(failure, dead, url, server):
    dataset = NativeRasterDataset(url, RGB)
    server.failure, server.bad_attempts = failure, 10
    for _ in range(2):
        server.pauses.clear()
        with pytest.raises(RemoteReadError, match=r"a\.tif"):
            dataset[100:300, -5100:-4900]
    assert server.pauses == ([] if dead else [0.5, 2.0, 8.0])


def test_a_raster_that_is_not_there(server):
    with pytest.raises(RemoteReadError, match=r"/b\.tif: HTTP response code: 404"):
        NativeRasterDataset(f"{server.url}/b.tif", RGB)
    assert server.pauses == []
