"""A socket in front of the engine that can be taken away and given back: the engine itself is everybody's."""

from __future__ import annotations

import select
import socket
import threading
from contextlib import suppress
from pathlib import Path

ENGINE = "/var/run/docker.sock"


class Proxy:
    """Forwards a Unix socket to the engine while it is up. Threads, because commands of other processes use it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"unix://{self.path}"

    def up(self) -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path))
        listener.listen(256)
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def down(self) -> None:
        """As an engine that is killed: its socket refuses, and every connection breaks."""
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            self.path.unlink(missing_ok=True)
        with self._lock:
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while self._listener is listener:
            ready, _, _ = select.select([listener], [], [], 0.1) if listener.fileno() >= 0 else ([], [], [])
            if ready:
                with suppress(OSError):
                    near, _ = listener.accept()
                    threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near: socket.socket) -> None:
        far = socket.socket(socket.AF_UNIX)
        with near, far:
            far.connect(ENGINE)
            with self._lock:
                self._open |= {near, far}
            other = {near: far, far: near}
            going = [near, far]
            with suppress(OSError):
                while going:
                    for one in select.select(going, [], [])[0]:
                        if data := one.recv(1 << 16):
                            other[one].sendall(data)
                            continue
                        going.remove(one)
                        other[one].shutdown(socket.SHUT_WR)
            with self._lock:
                self._open -= {near, far}
