# SPDX-License-Identifier: Apache-2.0
"""A memory on AXI4 that takes its time, and raises on what the protocol forbids."""

from collections import deque
from dataclasses import dataclass, field

__all__ = ["AxiMemory", "BrokenProtocol"]

CHANNELS = {
    "aw": ("awid", "awaddr", "awlen", "awsize", "awburst", "awlock", "awcache", "awprot", "awqos"),
    "w": ("wdata", "wstrb", "wlast"),
    "ar": ("arid", "araddr", "arlen", "arsize", "arburst", "arlock", "arcache", "arprot", "arqos"),
}


class BrokenProtocol(Exception):
    """The manager did what AXI4 forbids."""


@dataclass
class AxiMemory:
    """The subordinate's side, clock by clock.

    `stall` says whether a channel pauses; `first` which of a write's address and data this
    subordinate wants to see before it takes the other one.
    """

    width: int
    stall: object
    first: str = ""
    latency: int = 3
    fails: object = None
    cells: dict = field(default_factory=dict)
    clock: int = 0
    bursts: dict = field(default_factory=lambda: {"ar": [], "aw": []})

    def __post_init__(self):
        self.offered = {}
        self.addresses, self.words = deque(), deque()
        self.reads, self.responses = deque(), deque()
        self.drive = {"awready": 0, "wready": 0, "arready": 0, "bvalid": 0, "rvalid": 0}

    def require(self, held, rule):
        if not held:
            raise BrokenProtocol(f"clock {self.clock}: {rule}")

    def step(self, seen):
        """Take the signals of a clock; return what is driven in the next."""
        for channel, names in CHANNELS.items():
            payload = tuple(seen[name] for name in names)
            valid, ready = seen[f"{channel}valid"], self.drive[f"{channel}ready"]
            before = self.offered.pop(channel, None)
            self.require(before is None or (valid and payload == before), f"{channel} not stable")
            if valid and ready:
                getattr(self, f"take_{channel}")(dict(zip(names, payload, strict=True)))
            elif valid:
                self.offered[channel] = payload
        self.write_burst()
        if self.drive["bvalid"] and seen["bready"]:
            self.responses.popleft()
            self.drive["bvalid"] = 0
        if self.drive["rvalid"] and seen["rready"]:
            self.reads.popleft()
            self.drive["rvalid"] = 0
        self.clock += 1
        self.offer(seen)
        return self.drive

    def check(self, kind, payload):
        """Bursts are whole, incrementing and on one page; their byte addresses."""
        address, count = payload[f"{kind}addr"], payload[f"{kind}len"] + 1
        self.require(1 << payload[f"{kind}size"] == self.width, "a narrow burst")
        self.require(payload[f"{kind}burst"] == 1, "a burst that does not increment")
        self.require(address % self.width == 0, "an address between words")
        last = address + count * self.width - 1
        self.require(address >> 12 == last >> 12, "a burst crosses 4 KB")
        self.bursts[kind].append(count)
        return [address + step * self.width for step in range(count)]

    def take_aw(self, payload):
        self.addresses.append(self.check("aw", payload))

    def take_w(self, payload):
        self.words.append(payload)

    def take_ar(self, payload):
        places = self.check("ar", payload)
        for place in places:
            data = self.cells.get(place, 0)
            response = 2 if self.fails and self.fails(place) else 0
            due = self.clock + self.latency
            self.reads.append((due, data, response, place == places[-1]))

    def write_burst(self):
        """Write the oldest burst once all its words are there, some time later."""
        if not self.addresses or len(self.words) < len(self.addresses[0]):
            return
        places = self.addresses.popleft()
        for place in places:
            word = self.words.popleft()
            self.require(word["wlast"] == (place == places[-1]), "WLAST at the wrong word")
            for lane in range(self.width):
                if word["wstrb"] >> lane & 1:
                    kept = self.cells.get(place, 0) & ~(0xFF << 8 * lane)
                    self.cells[place] = kept | word["wdata"] & 0xFF << 8 * lane
        failed = self.fails and any(self.fails(place) for place in places)
        self.responses.append((self.clock + self.latency, 3 if failed else 0))

    def offer(self, seen):
        """Valid waits for no ready, and stays until taken; ready may wait for valid."""
        drive = self.drive
        for channel in CHANNELS:
            drive[f"{channel}ready"] = int(not self.stall())
        if self.first == "address" and not self.addresses:
            drive["wready"] = 0
        if self.first == "data" and not self.words:
            drive["awready"] = 0
        if not drive["bvalid"] and self.responses and not self.stall():
            due, response = self.responses[0]
            drive.update(bvalid=int(due <= self.clock), bresp=response)
        if not drive["rvalid"] and self.reads and not self.stall():
            due, data, response, last = self.reads[0]
            drive.update(rvalid=int(due <= self.clock), rdata=data, rresp=response, rlast=int(last))
