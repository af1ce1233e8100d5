"""Pillow: images by mode, size, palette and pixels, not by the file they came from."""

from PIL import Image

from nbflow.keys.bulk import bulk
from nbflow.keys.encode import Encoder, Node, register, unnamed

_SEEN = ("transparency", "exif", "icc_profile", "gamma")  # parts of `info` that change what an image shows


def _image(encoder: Encoder, value: Image.Image) -> Node:
    if getattr(value, "n_frames", 1) > 1:
        raise encoder.refusal(value, "of several frames, of which all but one are in a file")
    pixels = bulk(value.tobytes())  # loads a lazy one, so it comes first
    palette = None
    if value.palette is not None and value.mode in ("P", "PA"):
        palette = (value.palette.mode, value.getpalette(value.palette.mode))
    info = [(name, value.info[name]) for name in _SEEN if name in value.info]
    return Node(b"image", (value.mode, value.size, palette, info, pixels), label=unnamed)


register(Image.Image, _image, subclasses=True)
