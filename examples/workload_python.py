"""Accounts in a replicated map: money moves between them and never gets more or less."""

from __future__ import annotations

from urllib.request import urlopen

from nodeyard import CompareAndSet, KeyValue, Turn

START = 100


async def open_accounts(turn: Turn, *, accounts: int = 5) -> None:
    """Give every account its first money."""
    store = turn.node.client(KeyValue)
    for number in range(accounts):
        key = f"account-{number}"
        work = store.put(key, str(START), timeout=turn.timeout)
        assert (await turn.do("write", work, key=key, value=str(START))).ok


async def transfer(turn: Turn, *, accounts: int) -> None:
    """Move one coin inside one account's own history: read it, and write it back only if nobody came between."""
    key = f"account-{turn.random.randrange(accounts)}"
    store, cas = turn.node.client(KeyValue), turn.node.client(CompareAndSet)
    seen = await turn.do("read", store.get(key, timeout=turn.timeout), key=key)
    if seen.ok and seen.result.value is not None:
        old, new = seen.result.value, str(int(seen.result.value) + 1)
        work = cas.compare_and_set(key, old, new, timeout=turn.timeout)
        await turn.do("cas", work, key=key, value=[old, new])


def ask_health(turn: Turn) -> str:
    """A plain function runs in a thread of its own, so any library will do."""
    with urlopen(f"{turn.node.endpoint('client').url}/health", timeout=turn.timeout) as answer:
        text: str = answer.read().decode()
    assert "true" in text, text
    return text


async def audit(turn: Turn, *, accounts: int) -> None:
    """What is there must be what was written: an assertion that fails is a failed check."""
    for number in range(accounts):
        key = f"account-{number}"
        seen = await turn.do("read", turn.node.client(KeyValue).get(key, timeout=turn.timeout), key=key)
        assert seen.ok, seen.result
        assert int(seen.result.value) >= START, f"{key} holds {seen.result.value}"
