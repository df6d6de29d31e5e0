"""What a backend says where its optional packages are not installed. Must not live here: which backends there are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from nodeyard.errors.validation import SourceUnsupported


@contextmanager
def needed(who: str, package: str, *, extra: str, beside: tuple[str, ...] = ()) -> Iterator[None]:
    """Around the import of a backend's machinery: ``package``, and those ``beside`` it, come with an extra.

    Raises ``SourceUnsupported`` where one of them is missing. Any other missing module is a defect and stays one.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] not in (package, *beside):
            raise
        raise SourceUnsupported(
            f"{who} needs the package {package}", hint=f"pip install 'nodeyard[{extra}]'"
        ) from error
