"""Evaluate a ConvMixer's weights on ImageNet-1k: ``python -m convmixer.imagenet --weights FILE --data DIR``.

FILE is a checkpoint of the authors (https://github.com/locuslab/convmixer), of timm, or of ``save_weights``; the sizes
of the model are read off it. DIR holds ``val/<WordNet id>/*.JPEG``, one folder for each of the 1,000 classes. Of other
data ``--classes`` names the class folders, one a line, in the order of the model's outputs.

Ends with 0, with 2 where an argument or a file is wrong, with 5 where a library or the device is missing, and with 130
where it was interrupted.
"""

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from convmixer import ConvMixerError

if TYPE_CHECKING:
    import torch

# torch and whatever imports it are imported where they are used: --help takes no time, and where they are missing the
# command can say so.

WRONG_INPUT, MISSING, INTERRUPTED = 2, 5, 130
_LINE_SECONDS = 30.0  # off a terminal, at most one line of progress in this time


class _MissingDevice(ConvMixerError):
    """The device is a device, but not of this machine."""


def main(arguments: list[str] | None = None) -> int:
    """Do what the arguments say, by default those of the process; returns the exit code."""
    options = _parse(arguments)
    try:
        result = _evaluate(options)
    except ConvMixerError as error:
        print(f"error: {error}", file=sys.stderr)
        return MISSING if isinstance(error, _MissingDevice) else WRONG_INPUT
    except ImportError as error:
        print(f"error: {error}; install the packages of requirements.lock", file=sys.stderr)
        return MISSING
    except OSError as error:
        said = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        print(f"error: {said}", file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    if options.json:
        print(json.dumps(result, indent=2))
    else:
        print(f"{result['model']}, {result['n']:,} images: top-1 {result['top1']:.3%}, top-5 {result['top5']:.3%}")
    return 0


def _evaluate(options: argparse.Namespace) -> dict[str, object]:
    from convmixer.image_folder import evaluate_images, find_images
    from convmixer.model import ConvMixer, refuse_cut_images
    from convmixer.weights import describe_weights, load_weights

    device = _choose_device(options.device)
    described = describe_weights(options.weights)
    activation = _choose_activation(options, described.activation)
    model = ConvMixer(**described.arguments, activation=activation)
    refuse_cut_images(model, (options.image_size, options.image_size))
    classes = _read_classes(options.classes)
    images = find_images(options.data, described.num_classes, classes, allow_missing=options.subset)
    load_weights(model, options.weights)
    with _show_progress() as progress:
        accuracy = evaluate_images(
            model,
            images,
            device=device,
            image_size=options.image_size,
            batch_size=options.batch_size,
            workers=options.workers,
            precision=options.precision,
            progress=progress,
        )
    return {
        "model": f"ConvMixer-{described.width}/{described.depth}",
        **described.arguments,
        "activation": activation,
        "image_size": options.image_size,
        "precision": options.precision,
        "n": accuracy.n,
        "top1": accuracy.top1,
        "top5": accuracy.top5,
    }


def _choose_device(name: str | None) -> "torch.device":
    from convmixer.device import choose_device

    try:
        return choose_device(name)
    except ConvMixerError as error:  # the name itself was checked with the arguments
        raise _MissingDevice(str(error)) from error


def _choose_activation(options: argparse.Namespace, stored: str | None) -> str:
    """The activation that the model was trained with. The wrong one loads as well, and is merely inaccurate."""
    if stored is None and options.activation is None:
        raise ConvMixerError(
            f"{str(options.weights)!r} does not tell the activation; name it with --activation: relu for the authors' "
            "ConvMixer-768/32, gelu for their others"
        )
    if stored is not None and options.activation not in (None, stored):
        raise ConvMixerError(f"--activation is {options.activation!r}, but {str(options.weights)!r} says {stored!r}")
    return options.activation or stored


def _read_classes(path: Path | None) -> list[str] | None:
    if path is None:
        return None
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConvMixerError(f"--classes: {str(path)!r} cannot be read ({error}); expected a text file") from error
    return [line.strip() for line in lines if line.strip()]


@contextmanager
def _show_progress() -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal, now and then a line elsewhere; always on stderr."""
    if not sys.stderr.isatty():
        yield _PlainProgress()
        return
    from tqdm import tqdm

    with tqdm(unit=" images") as bar:

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        yield show


class _PlainProgress:
    """Prints how far it is, at most once in ``_LINE_SECONDS``."""

    def __init__(self) -> None:
        self.told = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self.told >= _LINE_SECONDS:
            print(f"{done:,} of {total:,} images", file=sys.stderr, flush=True)
            self.told = time.monotonic()


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    purpose, _, notes = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m convmixer.imagenet",
        description=purpose.replace("``", "`"),
        epilog=notes.replace("``", ""),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    add = parser.add_argument
    add("--weights", type=Path, required=True, metavar="FILE", help="a checkpoint; nothing in it is executed")
    add("--data", type=Path, required=True, metavar="DIR", help="the folder with val/, or that folder itself")
    add("--classes", type=Path, metavar="FILE", help="the class folders in the order of the model's outputs")
    add("--subset", action="store_true", help="classes may lack their folder")
    add("--activation", choices=("gelu", "relu"), help="where the weights do not tell it")
    add("--device", type=_device_name, metavar="NAME", help="cpu, cuda or cuda:N (default: the GPU if there is one)")
    add("--precision", choices=("fp32", "bf16", "fp16", "auto"), default="fp32", help="default: fp32")
    add("--batch-size", type=_whole_number, default=64, metavar="N", help="images at a time (default: 64)")
    add("--workers", type=_workers, default=cores, metavar="N", help="processes that read images (default: the cores)")
    add("--image-size", type=_whole_number, default=224, metavar="N", help="pixels along a side (default: 224)")
    add("--json", action="store_true", help="the result as JSON")
    return parser.parse_args(arguments)


def _device_name(text: str) -> str:
    if not re.fullmatch(r"cpu|cuda(:\d{1,3})?", text):
        raise argparse.ArgumentTypeError(f"unknown device {text!r}; expected cpu, cuda or cuda:N")
    return text


def _whole_number(text: str) -> int:
    if not re.fullmatch(r"[1-9]\d{0,5}", text):
        raise argparse.ArgumentTypeError(f"{text!r}; expected a whole number of 1 or more")
    return int(text)


def _workers(text: str) -> int:
    if not re.fullmatch(r"\d{1,3}", text):
        raise argparse.ArgumentTypeError(f"{text!r}; expected a whole number from 0, none but this process, to 999")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
