"""The declarative kind: node software that a YAML file describes.

``model`` is the file, ``checks`` what is wrong with one, ``kind`` the kind that it makes, ``client`` its clients.
"""

from nodeyard.kinds.declarative.format import YamlFormat

__all__ = ["YamlFormat"]
