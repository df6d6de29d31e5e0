"""A TCP proxy in front of the API server that can go away and come back, so that the server itself need not."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

from k8s_attach.borrowed import view_of


class Gateway:
    """Carries connections while it is open. Use as a context manager."""

    def __init__(self, admin: str) -> None:
        self._config = view_of(admin)
        server = urlsplit(self._config["clusters"][0]["cluster"]["server"])
        self._target = (server.hostname or "", server.port or 443)
        self._listener: socket.socket | None = None
        self._open: set[socket.socket] = set()
        self.port = 0

    def __enter__(self) -> Gateway:
        self.restore()
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()

    def kubeconfig(self, folder: Path) -> str:
        """The administrator's kubeconfig, by way of this gateway."""
        path = folder / "gateway.json"
        self._config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{self.port}"
        path.write_text(json.dumps(self._config))
        return str(path)

    def restore(self) -> None:
        """Listen, always at the same port."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def cut(self) -> None:
        """End every connection and refuse new ones."""
        listener, self._listener = self._listener, None
        for each in (listener, *self._open):
            if each is not None:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()
        self._open.clear()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                return
            self._open |= {client, server}
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self._carry, args=(source, sink), daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                sink.sendall(data)
        for each in (source, sink):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
