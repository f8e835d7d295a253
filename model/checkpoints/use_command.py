"""`seedling models use`, the model's side: a folder is looked at and made a checkpoint, if it is none yet.

The settings that then choose it are the language server's affair (lsp_server/models_use.py). Left out: trying the
weights, which takes minutes for a large model (`seedling models check`).
"""

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="NAME|FOLDER", help="a pulled model, a folder, or embedded: back to that one")


def run(args: argparse.Namespace) -> int:
    """0 = it can be chosen. Raises CheckpointError."""
    from model.checkpoints.check_command import look
    from model.checkpoints.error import CheckpointError
    from model.checkpoints.families import is_foreign_folder
    from model.checkpoints.on_disk import resolve
    from model.checkpoints.pull_command import write_preset

    folder = resolve(args.model)
    if any(folder.glob("*.part")):
        raise CheckpointError(f"{folder} is not whole: seedling models pull goes on with it.")
    preset = look(folder, "auto", "auto", tries=False)
    if is_foreign_folder(folder):
        write_preset(folder, preset)
    return 0
