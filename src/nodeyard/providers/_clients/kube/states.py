"""What a pod's status says: does it run, how did it end, will it never run. Pure."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from lightkube.models.core_v1 import ContainerState, ContainerStateTerminated, ContainerStatus
from lightkube.resources.core_v1 import Pod

HOPELESS = frozenset(
    {"ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", "CreateContainerError",
     "RunContainerError", "ImageInspectError", "RegistryUnavailable"}
)  # fmt: skip
"""Reasons of a waiting container that end a wait: Kubernetes goes on trying, but what it tries does not change."""


@dataclass(frozen=True)
class Ended:
    """How a container ended. ``container`` is its id."""

    container: str
    status: str


def container_of(pod: Pod, name: str) -> ContainerStatus | None:
    """The status of a container by name; ``None`` while there is none."""
    statuses = (pod.status.containerStatuses if pod.status else None) or []
    return next((status for status in statuses if status.name == name), None)


def address_of(pod: Pod) -> str:
    """The pod's address; empty while it has none."""
    return (pod.status.podIP if pod.status else None) or ""


def running(pod: Pod, name: str) -> str:
    """The id of the running container of that name; empty while none runs."""
    status = container_of(pod, name)
    return (status.containerID or "") if status is not None and status.state and status.state.running else ""


def begun(pod: Pod, name: str) -> str:
    """The id of the first container of that name that ran, be it over already; empty while none did."""
    status = container_of(pod, name)
    if status is None:
        return ""
    for state in (status.lastState, status.state):
        if (end := _end(state)) is not None and end.containerID:
            return end.containerID
    return running(pod, name)


def ends_of(pod: Pod, name: str) -> tuple[Ended, ...]:
    """Every end of that container that the status still knows, oldest first."""
    status = container_of(pod, name)
    if status is None:
        return ()
    ends = [end for state in (status.lastState, status.state) if (end := _end(state)) is not None]
    return tuple(Ended(end.containerID or "", end_text(end)) for end in ends)


def _end(state: ContainerState | None) -> ContainerStateTerminated | None:
    return state.terminated if state is not None else None


def end_text(end: ContainerStateTerminated) -> str:
    """``exit status 2``, ``killed by SIGKILL``; with the reason where Kubernetes knows a better one."""
    text = exit_text(end.exitCode)
    return text if end.reason in (None, "Error", "Completed") else f"{text} ({end.reason})"


def exit_text(code: int) -> str:
    """A status as a shell gives it, in the words of every deployer."""
    if code > 128:
        try:
            return f"killed by {signal.Signals(code - 128).name}"
        except ValueError:
            return f"exit status {code}"
    return f"exit status {code}"


def over(pod: Pod) -> str:
    """Why a pod will not run again (evicted, node lost, deadline), or an empty text."""
    if pod.status is None or pod.status.phase not in ("Failed", "Succeeded"):
        return ""
    words = [part for part in (pod.status.reason, pod.status.message) if part]
    return ": ".join(words) or f"the pod is {pod.status.phase.lower()}"


def hopeless(pod: Pod, name: str) -> str:
    """Why a pod that does not run yet will not run, or an empty text."""
    if reason := over(pod):
        return reason
    status = container_of(pod, name)
    waiting = status.state.waiting if status is not None and status.state is not None else None
    if waiting is not None and waiting.reason in HOPELESS:
        message = " ".join((waiting.message or "").split())
        return f"{waiting.reason}: {message}" if message else str(waiting.reason)
    for condition in (pod.status.conditions if pod.status else None) or []:
        if condition.type == "PodScheduled" and condition.status == "False" and condition.reason == "Unschedulable":
            return f"Unschedulable: {condition.message or 'no node takes it'}"
    return ""


def waiting_for(pod: Pod | None, name: str) -> str:
    """What a pod that does not run yet is at, for people."""
    if pod is None:
        return "it does not exist yet"
    status = container_of(pod, name)
    waiting = status.state.waiting if status is not None and status.state is not None else None
    phase = (pod.status.phase if pod.status else None) or "unknown"
    return f"{phase}{f', {waiting.reason}' if waiting is not None and waiting.reason else ''}"
