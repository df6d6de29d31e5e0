"""A program of its own, run inside a network namespace: holds the packets of one queue back for a while.

Arguments: number of the queue, seconds. Speaks netlink (``linux/netfilter/nfnetlink_queue.h``) and copies no packet:
the kernel keeps them and gets a verdict when their time has come. Prints ``ready`` once packets are taken. If it ends,
packets go through as if it had never been (``--queue-bypass``). Uses the standard library alone.
"""

from __future__ import annotations

import collections
import os
import select
import socket
import struct
import sys
import time

NETLINK_NETFILTER = 12
PACKET, VERDICT, CONFIG = 0x300, 0x301, 0x302
"""Types of messages: subsystem 3, and what is said."""
NLM_F_REQUEST, NLM_F_ACK = 1, 4
NLMSG_ERROR = 2
CFG_CMD, CFG_PARAMS, CFG_MAXLEN = 1, 2, 3
BIND = 1
COPY_META = 1
PACKET_HDR, VERDICT_HDR = 1, 2
NF_ACCEPT = 1
LONGEST = 100_000
"""Packets that may wait: at 20,000 a second that is 5 s of delay."""
ENOBUFS = 105


def attribute(kind: int, body: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(body), kind) + body + bytes(-len(body) % 4)


def message(kind: int, queue: int, body: bytes, *, flags: int = 0, number: int = 0) -> bytes:
    family = struct.pack("!BBH", socket.AF_UNSPEC, 0, queue)
    return struct.pack("=IHHII", 20 + len(body), kind, NLM_F_REQUEST | flags, number, 0) + family + body


def configured(door: socket.socket, queue: int, body: bytes) -> None:
    """Send one setting and wait for the kernel's word. Raises ``OSError``."""
    door.send(message(CONFIG, queue, body, flags=NLM_F_ACK))
    answer = door.recv(65536)
    kind, error = struct.unpack_from("=H", answer, 4)[0], struct.unpack_from("=i", answer, 16)[0]
    if kind == NLMSG_ERROR and error:
        raise OSError(-error, "the kernel refuses the queue")


def opened(queue: int) -> socket.socket:
    """The queue, bound. Raises ``OSError``."""
    door = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER)
    door.bind((0, 0))
    door.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 23)
    configured(door, queue, attribute(CFG_CMD, struct.pack("!BBH", BIND, 0, socket.AF_INET)))
    configured(door, queue, attribute(CFG_PARAMS, struct.pack("!IB", 0, COPY_META)))
    configured(door, queue, attribute(CFG_MAXLEN, struct.pack("!I", LONGEST)))
    return door


def packets(data: bytes) -> list[int]:
    """The ids of the packets that a datagram of the kernel tells of."""
    found: list[int] = []
    at = 0
    while at + 20 <= len(data):
        length, kind = struct.unpack_from("=IH", data, at)
        if kind == PACKET:
            inner = at + 20
            while inner + 4 <= at + length:
                size, name = struct.unpack_from("=HH", data, inner)
                if name & 0x7FFF == PACKET_HDR:
                    found.append(struct.unpack_from("!I", data, inner + 4)[0])
                    break
                inner += (size + 3) & ~3
        at += max((length + 3) & ~3, 16)
    return found


def serve(queue: int, seconds: float) -> None:
    """Let each packet go when its time has come, for ever."""
    door = opened(queue)
    os.write(1, b"ready\n")
    waiting: collections.deque[tuple[float, int]] = collections.deque()
    while True:
        now = time.monotonic()
        while waiting and waiting[0][0] <= now:
            verdict = attribute(VERDICT_HDR, struct.pack("!II", NF_ACCEPT, waiting.popleft()[1]))
            door.send(message(VERDICT, queue, verdict))
        left = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        if select.select([door], [], [], left)[0]:
            try:
                data = door.recv(1 << 20)
            except OSError as error:
                if error.errno != ENOBUFS:  # the kernel had more to tell than room for it: those packets are lost
                    raise
                continue
            due = time.monotonic() + seconds
            waiting.extend((due, packet) for packet in packets(data))


if __name__ == "__main__":
    serve(int(sys.argv[1]), float(sys.argv[2]))
