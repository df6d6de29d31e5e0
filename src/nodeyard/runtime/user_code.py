"""Functions that somebody wrote for a scenario: found by reading, loaded when they are needed.

Must not live here: what a function is called with.
"""

from __future__ import annotations

import ast
import asyncio
import importlib
import importlib.util
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib.machinery import ModuleSpec, PathFinder
from itertools import count
from pathlib import Path
from traceback import extract_tb
from types import ModuleType
from typing import Any

from nodeyard.domain.user_code import FunctionRef
from nodeyard.errors.runtime import UserCodeInvalid
from nodeyard.runtime.naming import nearest

RELATIVE = "the path is relative to the scenario's folder"
_numbers = count()


def problem(ref: FunctionRef, base: Path) -> tuple[str, str] | None:
    """What is wrong with a reference, and what to do about it; ``None`` if the function stands there.

    Reads its source and runs nothing. ``base`` is the scenario's folder.
    """
    source = base / ref.where if ref.is_file else _source_of(ref.where, base)
    if source is None:
        return f"there is no module '{ref.where}'", "a file beside the scenario is written as file.py:function"
    try:
        text = source.read_bytes()
        tree = ast.parse(text, str(source))
        compile(text, str(source), "exec", dont_inherit=True)  # it finds more: a 'return' outside of a function
    except FileNotFoundError:
        return f"there is no file {ref.where}", RELATIVE
    except OSError as error:
        return f"{ref.where} cannot be read: {error.strerror or error}", RELATIVE
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None)
        return f"{ref.where} is not Python{f', line {line}' if line else ''}: {getattr(error, 'msg', error)}", ""
    names, all_known = _names(tree)
    if ref.function in names or not all_known:
        return None
    return f"{ref.where} has no function '{ref.function}'", nearest(ref.function, names) or ""


def _names(tree: ast.Module) -> tuple[list[str], bool]:
    """The names that a module defines at its top, and whether these are all of them."""
    names: list[str] = []
    everything = True
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.append(statement.name)
        elif isinstance(statement, ast.Import | ast.ImportFrom):
            names += [alias.asname or alias.name for alias in statement.names]
        elif isinstance(statement, ast.Assign):
            names += [target.id for target in statement.targets if isinstance(target, ast.Name)]
        elif not isinstance(statement, ast.Expr | ast.AnnAssign):
            everything = False  # under a condition, for example
    return names, everything and "*" not in names


def _source_of(module: str, base: Path) -> Path | None:
    """The source of a module, found without importing its parents; the scenario's folder comes first."""
    path: list[str] | None = [str(base), *sys.path]
    spec: ModuleSpec | None = None
    for position in range(module.count(".") + 1):
        name = ".".join(module.split(".")[: position + 1])
        spec = PathFinder.find_spec(name, path)
        if spec is None:
            return None
        path = list(spec.submodule_search_locations or ())
    return Path(spec.origin) if spec is not None and spec.origin and spec.origin.endswith(".py") else None


async def checked(ref: FunctionRef, base: Path, *, within: float) -> str | None:
    """Load a function for nothing but to see that it can be; returns why it cannot. ``within`` is in seconds."""
    try:
        async with asyncio.timeout(within):
            await in_thread(partial(load, ref, base))
    except TimeoutError:
        return f"{ref.where} is still being loaded after {within:g} s"
    except UserCodeInvalid as error:
        return "; ".join((error.message, *error.evidence[-1:]))
    return None


def load(ref: FunctionRef, base: Path) -> Callable[..., Any]:
    """The function itself. A file is run anew for each use. Raises ``UserCodeInvalid``."""
    try:
        module = _file(base / ref.where) if ref.is_file else _module(ref.where, base)
    except (Exception, SystemExit) as error:
        raise UserCodeInvalid(
            f"{ref.where} cannot be loaded: {type(error).__name__}: {error}",
            operation=str(ref),
            evidence=raised_at(error),
            hint="run it with Python alone to see more",
        ) from error
    found = getattr(module, ref.function, None)
    if not callable(found):
        raise UserCodeInvalid(f"{ref.where} has no function '{ref.function}'", operation=str(ref), hint=RELATIVE)
    made: Callable[..., Any] = found
    return made


def _file(path: Path) -> ModuleType:
    name = f"_nodeyard_{path.stem}_{next(_numbers)}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        with _beside(path.parent):
            spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _module(name: str, base: Path) -> ModuleType:
    with _beside(base):
        return importlib.import_module(name)


@contextmanager
def _beside(folder: Path) -> Iterator[None]:
    """Let imports find what stands in a folder, and leave nothing there."""
    sys.path.insert(0, str(folder))
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        yield
    finally:
        sys.dont_write_bytecode = before
        sys.path.remove(str(folder))


def raised_at(error: BaseException) -> tuple[str, ...]:
    """The lines of somebody's code that an error came through, the last one last: file, line, function, text."""
    own = Path(__file__).parents[1]
    frames = [
        frame
        for frame in extract_tb(error.__traceback__)
        if not Path(frame.filename).is_relative_to(own) and not frame.filename.startswith("<frozen")
    ]
    return tuple(f"{Path(f.filename).name}:{f.lineno} in {f.name}: {f.line or ''}".rstrip(": ") for f in frames[-5:])


async def in_thread(call: Callable[[], Any]) -> Any:
    """Call in a thread of its own, which nobody waits for when it hangs: the process may end without it."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def settle(result: Any, error: BaseException | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)

    def work() -> None:
        result, error = None, None
        try:
            result = call()
        except BaseException as caught:  # noqa: BLE001 - raised where the call is awaited
            error = caught
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=work, name="nodeyard-user-code", daemon=True).start()
    return await done
