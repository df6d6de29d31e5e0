"""The composition root: reads settings and scenarios, finds plugins, and wires a run. Level 5: sees all below it."""
