"""The protocols between the core and everything that acts. Level 2: sees domain, errors and _aio only."""
