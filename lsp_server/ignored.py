"""Documents that a `.seedlingignore` names: nothing is completed in them.

Source: Cursor's and Codeium's ignore files. A `.gitignore` says what is not versioned, and people write code there too
(scripts of their own, drafts): it keeps a file out of other documents' prompts (context/ignore.py) and no more.
`.seedlingignore` is written for this program: whoever names a file there does not want it sent at all. It counts in
workspace folders only, as `.seedling.toml` does. Left out: what its lines mean (context/ignore.py).
"""

import os
from collections.abc import Iterable

from lsp_server.uris import display_path, folder_of, local_path

FILE_NAME = ".seedlingignore"


def ignored(uris: Iterable[str], folder_uris: tuple[str, ...]) -> frozenset[str]:
    """Those of `uris` that an ignore file of their workspace folder, or one above in its repository, names."""
    return frozenset(uri for uri in uris if _is_ignored(uri, folder_uris))


def _is_ignored(uri: str, folder_uris: tuple[str, ...]) -> bool:
    folder = folder_of(uri, folder_uris)
    root = None if folder is None else local_path(folder)
    if root is None:
        return False
    path = display_path(uri, folder_uris)
    # Reading patterns costs 20 ms to import: only where there is such a file at all.
    if not any((above / FILE_NAME).exists() for above in (root / path).parents):
        return False
    from lsp_server.context.ignore import Ignores

    return Ignores(os.path.realpath(root), (FILE_NAME,)).is_ignored(path)
