"""`seedling models check`: whether a model can be used on this machine, and the first reason why not.

Left out: what is looked at (check.py).
"""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.checkpoints.fitting import Precision
    from model.checkpoints.presets import Preset


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="NAME|FOLDER", help="a pulled model, or a folder of the Hugging Face layout")
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto, cpu, cuda, cuda:1, …")
    parser.add_argument("--precision", default="auto", choices=("auto", "full", "int8", "fp8"), help="of the weights")
    parser.add_argument("--without-pass", action="store_true", help="do not read the weights and try them")


def run(args: argparse.Namespace) -> int:
    """0 = it can be used. Raises CheckpointError."""
    from model.checkpoints.on_disk import resolve

    look(resolve(args.model), args.device, args.precision, tries=not args.without_pass)
    print("It can be used here.")
    return 0


def look(folder: Path, device_name: str, precision: "Precision", *, tries: bool) -> "Preset":
    """Prints what `check_folder` says; gives the preset."""
    import torch

    from model.checkpoints.check import check_folder
    from model.checkpoints.error import CheckpointError
    from model.engine.generation import default_dtype

    if device_name == "auto":
        device_name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(device_name)
        if device.type == "cuda" and not torch.cuda.is_available():
            raise RuntimeError("no GPU of NVIDIA is there")
    except RuntimeError as error:
        raise CheckpointError(f"The device {device_name} cannot be used: {str(error).splitlines()[0]}.") from None
    return check_folder(folder, device, default_dtype(device), precision=precision, tries=tries, say=_say)


def _say(what: str, found: str) -> None:
    print(f"{what:<9} {found}", flush=True)
