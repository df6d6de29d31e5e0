"""Functions that somebody wrote for a scenario are loaded once before anything is made: one that raises is a mistake of
the input, and not of the run. Whether they are there is found by reading, with the scenario.
"""

from __future__ import annotations

from dataclasses import replace

from nodeyard.app.spec_loader import LoadedScenario
from nodeyard.errors.validation import SpecInvalid
from nodeyard.runtime import user_code

LOADING = 30.0
"""Seconds for the imports of one file; a large scientific package takes a few."""
HINT = "run it with Python alone to see more"


async def check_functions(loaded: LoadedScenario) -> None:
    """Raises ``SpecInvalid`` with every function that cannot be loaded."""
    seen: dict[object, str | None] = {}
    problems = []
    for ref, place in loaded.functions:
        if ref not in seen:
            seen[ref] = await user_code.checked(ref, loaded.base, within=min(LOADING, loaded.spec.deadline))
        if (message := seen[ref]) is not None:
            problems.append(replace(place, message=message, hint=HINT))
    if problems:
        raise SpecInvalid(problems)
