"""The node kind ``cometbft``: everything that Nodeyard knows of CometBFT, and nothing of how or where it runs."""

from nodeyard.kinds.cometbft.kind import CometbftKind

__all__ = ["CometbftKind"]
