"""The lightest HTTP server that Python can be: ``python -I -S toy_node.py PORT``. Answers everything with its name."""

import select
import sys
from _socket import AF_INET, SO_REUSEADDR, SOCK_STREAM, SOL_SOCKET, socket


def serve(port: int) -> None:
    listener = socket(AF_INET, SOCK_STREAM)
    listener.setsockopt(SOL_SOCKET, SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(16)
    body = b'{"id": "toy-%d", "network": "toys"}' % port
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    waiting = select.epoll()
    waiting.register(listener.fileno(), select.EPOLLIN)
    open_ones: dict[int, socket] = {}
    while True:
        for fd, _ in waiting.poll():
            if fd == listener.fileno():
                new, _ = listener._accept()  # type: ignore[attr-defined]
                open_ones[new] = socket(AF_INET, SOCK_STREAM, 0, new)
                waiting.register(new, select.EPOLLIN)
                continue
            try:
                asked = open_ones[fd].recv(65536)
                if asked:
                    open_ones[fd].send(answer)
                    continue
            except OSError:
                pass
            waiting.unregister(fd)
            open_ones.pop(fd).close()


serve(int(sys.argv[1]))
