"""A program of its own, run inside a network namespace: sends echo requests and prints what came back, as JSON.

Arguments: address, count, size of the data, seconds to wait. Uses the standard library alone.
"""

from __future__ import annotations

import json
import os
import select
import socket
import struct
import sys
import time

REQUEST, REPLY = 8, 0
HEADERS = 28
"""Bytes of the headers of IP and ICMP."""


def checksum(data: bytes) -> int:
    """The Internet checksum of RFC 1071; ``data`` has an even length."""
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def request(ident: int, number: int, size: int) -> bytes:
    body = bytes(size + size % 2)
    head = struct.pack("!BBHHH", REQUEST, 0, 0, ident, number)
    return struct.pack("!BBHHH", REQUEST, 0, checksum(head + body), ident, number) + body


def measure(address: str, count: int, size: int, within: float) -> dict[str, object]:
    """Send one after the other as fast as they leave, and collect answers until all are there or the time is over."""
    ident = os.getpid() & 0xFFFF
    sent: dict[int, float] = {}
    times: list[float] = []
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as door:
        door.setblocking(False)
        door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        begun = last = time.monotonic()
        while len(times) < count and (left := begun + within - time.monotonic()) > 0:
            want = [door] if len(sent) < count else []
            readable, writable, _ = select.select([door], want, [], left)
            if writable:
                number = len(sent)
                try:
                    door.sendto(request(ident, number, size), (address, 0))
                except (BlockingIOError, PermissionError):  # full, or dropped on its way out: that is an answer too
                    pass
                except OSError:
                    break
                sent[number] = time.monotonic()
            if readable:
                data = door.recv(65536)
                kind, _, _, whose, number = struct.unpack("!BBHHH", data[20:28])
                if kind == REPLY and whose == ident and number in sent:
                    last = time.monotonic()
                    times.append(last - sent.pop(number))
                    sent[-1 - number] = 0.0
    return {"sent": len(sent), "times": times, "span": last - begun, "size": size + size % 2 + HEADERS}


if __name__ == "__main__":
    target, count, size, within = sys.argv[1:5]
    os.write(1, json.dumps(measure(target, int(count), int(size), float(within))).encode())
