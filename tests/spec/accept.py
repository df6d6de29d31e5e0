"""Write the messages that the corpus gets now. Read the difference before it is committed."""

from __future__ import annotations

import os

from .corpus_files import CORPUS, NAMES, messages


def main() -> None:
    os.chdir(CORPUS)
    for name in NAMES:
        (CORPUS / f"{name}.txt").write_text("".join(f"{line}\n" for line in messages(name)), encoding="utf-8")


if __name__ == "__main__":
    main()
