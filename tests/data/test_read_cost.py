"""Reading a frame costs the same wherever it is in the movie; counted, not timed."""

import numpy as np
import pytest
import tifffile

from cellmotion_jax.data.movie import open_movie

FRAMES = 300
STORED = {
    "pages": {"contiguous": False},
    "deflate": {"contiguous": False, "compression": "zlib"},
    "BigTIFF, tiles": {"contiguous": False, "compression": "zlib", "tile": (16, 16)},
}


@pytest.fixture(params=STORED.values(), ids=STORED.keys())
def stack(tmp_path, request):
    path = tmp_path / "stack.tif"
    with tifffile.TiffWriter(path, bigtiff="tile" in request.param) as writer:
        for frame in range(FRAMES):
            image = np.full((16, 16), frame, np.uint16)
            writer.write(image, metadata=None, photometric="minisblack", **request.param)
    return path


def test_every_frame_takes_as_many_reads(stack, monkeypatch):
    movie = open_movie(stack)
    reads = []
    monkeypatch.setattr(tifffile.FileHandle, "seek", counted(tifffile.FileHandle.seek, reads))
    monkeypatch.setattr(tifffile.FileHandle, "read", counted(tifffile.FileHandle.read, reads))
    counts = []
    for frame in (0, 1, 7, FRAMES // 2, FRAMES - 1):
        reads.clear()
        assert (movie[frame] == frame).all()
        counts.append(len(reads))
    assert min(counts) > 0
    assert max(counts) <= min(counts) + 2


def counted(method, reads):
    def calling(self, *arguments, **more):
        reads.append(method.__name__)
        return method(self, *arguments, **more)

    return calling
