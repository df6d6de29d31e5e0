"""Objects as a text that ``kubectl apply -f`` takes. Pure."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping

from ruamel.yaml import YAML

from nodeyard.ports.ledger import Json


def as_yaml(objects: Iterable[Mapping[str, Json]]) -> str:
    """One document per object, keys in the order that they were made in."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 4096
    out = io.StringIO()
    yaml.dump_all([_plain(item) for item in objects], out)
    return out.getvalue()


def _plain(value: Json) -> object:
    """The same value in types that the writer knows, each written out where it stands."""
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return value
