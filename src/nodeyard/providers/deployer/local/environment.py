"""The environment of a node's process: little of the tester's, the node's own, and the mark of the run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nodeyard.domain.launch_plan import LaunchPlan, NodePlan
from nodeyard.domain.run_identity import MARK_VARIABLE
from nodeyard.domain.secrets import Secret
from nodeyard.ports.plugins import PluginContext
from nodeyard.providers._clients.process_sweep import NODE_VARIABLE

INHERITED = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR")
"""What programs commonly need. Nothing else, so that a run does not depend on, or leak, the tester's environment."""


def inherited(given: Mapping[str, str], also: Sequence[str] = ()) -> dict[str, str]:
    """The part of the tester's environment that every program gets."""
    return {name: given[name] for name in (*INHERITED, *also) if name in given}


def declared(node: NodePlan, launch: LaunchPlan | None) -> Mapping[str, str]:
    """The node's own variables; what the kind rendered wins over what the scenario says."""
    return {**node.env, **(launch.env if launch else {})}


def node_environment(
    node: NodePlan, launch: LaunchPlan | None, inherit: Sequence[str], context: PluginContext
) -> dict[str, str]:
    """All variables, secrets with their values. Raises ``SpecInvalid`` when one has none."""
    environment = inherited(context.environment, inherit)
    for name, value in declared(node, launch).items():
        secret = Secret(value)
        environment[name] = context.secrets.reveal(secret) if secret.is_reference else value
    # Last, so that nothing can take the mark away: it is how the process is found again.
    return {**environment, MARK_VARIABLE: context.mark.text, NODE_VARIABLE: node.name}
