"""Pictures within a drawing, as the same bytes everywhere: PNG whose pixels are stored and not compressed."""

import base64
import io
import re
import struct
import zlib

_PICTURE = re.compile(r"(?<=data:image/png;base64,)[^\"]+")
_BLOCK = 0xFFFF  # bytes that a stored block of zlib can hold


def store_pictures(svg: str) -> str:
    """SVG with its pictures stored; each version of zlib compresses in its own way."""
    return _PICTURE.sub(_store, svg)


def _store(match: re.Match[str]) -> str:
    """A PNG in base64, of one byte a pixel where it has few colours."""
    import matplotlib.image  # as drawing does: only its processes need it
    import numpy as np

    read = matplotlib.image.imread(io.BytesIO(base64.b64decode(match[0])), format="png")
    pixels = np.rint(255 * read).astype(np.uint8)
    height, width, channels = pixels.shape
    colours, indices = np.unique(pixels.reshape(-1, channels), axis=0, return_inverse=True)
    kind, palette = {3: 2, 4: 6}[channels], []
    if len(colours) <= 256:  # one byte a pixel
        kind, pixels = 3, indices.reshape(height, width, 1).astype(np.uint8)
        palette = [
            (b"PLTE", colours[:, :3].tobytes()),
            *([(b"tRNS", colours[:, 3].tobytes())] if channels == 4 else []),
        ]
    header = struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)
    lines = _store_deflated(b"".join(b"\0" + line.tobytes() for line in pixels))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in ((b"IHDR", header), *palette, (b"IDAT", lines), (b"IEND", b""))
    )
    return base64.b64encode(png).decode()


def _store_deflated(data: bytes) -> bytes:
    """DATA as a zlib stream of blocks that are stored as they are."""
    starts = range(0, len(data), _BLOCK)
    blocks = (
        struct.pack("<BHH", start + _BLOCK >= len(data), len(part), len(part) ^ 0xFFFF) + part
        for start in starts
        for part in [data[start : start + _BLOCK]]
    )
    return b"\x78\x01" + b"".join(blocks) + struct.pack(">I", zlib.adler32(data))
