# SPDX-License-Identifier: Apache-2.0
"""The command set once more: one element at a time, in Python integers, from packed words."""

from collections import Counter, defaultdict

from gcnloom_spec.isa import COMMAND_BYTES, WORDS, Destination, Mode, Opcode, Target
from gcnloom_spec.items import edge_word, order_word
from gcnloom_spec.words import Word

MASK32 = 0xFFFFFFFF


def signed(value, width):
    value &= (1 << width) - 1
    return value - (1 << width) if value >> (width - 1) else value


def unpack(word, bits):
    fields, position = {}, 0
    for name, width in word.fields.items():
        raw = bits >> position & ((1 << abs(width)) - 1)
        fields[name] = signed(raw, -width) if width < 0 else raw
        position += abs(width)
    return fields


def random_byte(key, row, purpose, tensor, feature):
    """One byte of Threefry-2x32-13, by the paper's description."""
    keys = [key[0], key[1], key[0] ^ key[1] ^ 0x1BD11BDA]
    x, y = row, purpose << 31 | tensor << 16 | feature // 8
    x, y = (x + keys[0]) & MASK32, (y + keys[1]) & MASK32
    for index in range(13):
        turn = (13, 15, 26, 6, 17, 29, 16, 24)[index % 8]
        x = (x + y) & MASK32
        y = (y << turn | y >> (32 - turn)) & MASK32 ^ x
        if index % 4 == 3:
            group = index // 4 + 1
            x = (x + keys[group % 3]) & MASK32
            y = (y + keys[(group + 1) % 3] + group) & MASK32
    return (y << 32 | x) >> 8 * (feature % 8) & 0xFF


class SlowMachine:
    def __init__(self, config, memory):
        self.config, self.memory = config, bytearray(memory)
        self.chip = defaultdict(int)  # (memory, row, lane) -> element
        self.edges, self.order = {}, {}
        self.accumulators = defaultdict(int)
        self.sums = defaultdict(int)
        self.array = {}
        self.envelopes, self.saturations = Counter(), Counter()
        self.pending, self.counters = [], Counter()

    def run(self, address, count, seed, step):
        self.key = (seed, step)
        start = address * self.config.memory_bytes
        for index in range(count):
            at = start + index * COMMAND_BYTES
            bits = int.from_bytes(self.memory[at : at + COMMAND_BYTES], "little")
            opcode = Opcode(bits & 15)
            getattr(self, opcode.name.lower())(unpack(WORDS[opcode], bits))

    def item(self, packing, address, index):
        """Address in bytes of one item."""
        word = address + index // packing.items_per_word * packing.words_per_item
        inside = index % packing.items_per_word * packing.item_bytes
        return word * self.config.memory_bytes + inside

    def integer(self, at, size):
        return int.from_bytes(self.memory[at : at + size], "little")

    def load(self, c):
        config, target = self.config, Target(c["target"])
        packing = {
            Target.EDGES: config.edge_beat,
            Target.PLAIN_EDGES: config.plain_beat,
            Target.ORDER: config.order,
        }.get(target, config.vector)
        self.counters[f"{target.name.lower()}_words"] += packing.words(c["count"])
        for i in range(c["count"]):
            at, row = self.item(packing, c["address"], i), c["base"] + i
            if target == Target.ORDER:
                self.order[row] = unpack(order_word(config), self.integer(at, packing.item_bytes))
            elif target == Target.EDGES:
                beat = self.integer(at, packing.item_bytes)
                for pe in range(config.pes):
                    bits = beat >> pe * config.edge_bits
                    self.edges[row, pe] = unpack(edge_word(config), bits)
            elif target == Target.PLAIN_EDGES:
                beat = self.integer(at, packing.item_bytes)
                fields = {n: w for n, w in edge_word(config).fields.items() if n != "weight"}
                plain = Word("plain edge", fields)
                for pe in range(config.pes):
                    edge = unpack(plain, beat >> pe * plain.width)
                    weight = signed(c["weight"], config.operand_width) if edge["valid"] else 0
                    there = edge["valid"] | edge["first"]
                    self.edges[row, pe] = edge | {"weight": weight, "valid": there}
            else:
                for lane in range(config.lanes):
                    raw = self.integer(at + lane * config.operand_bytes, config.operand_bytes)
                    element = signed(raw, config.operand_width)
                    if target in (Target.MASK_AGGREGATE, Target.MASK_TRANSFORM):
                        element = int(element > 0)
                    banked = target in (Target.LEFT, Target.RIGHT)
                    bank = c["bank"] if banked else 0
                    self.chip[target, row, bank * config.lanes + lane] = element

    def aggregate(self, c):
        config = self.config
        for t in range(c["count"]):
            for pe in range(config.pes):
                e = self.edges.get((c["edge_base"] + t, pe))
                self.counters["edge_slots"] += 1
                if e is None or not e["valid"]:
                    continue
                self.counters["edges"] += 1
                for lane in range(config.lanes):
                    key = pe, c["slot_base"] + e["slot"], lane
                    old = 0 if e["first"] else self.accumulators[key]
                    x = self.chip[Target.OPERAND, c["operand_base"] + e["column"], lane]
                    self.accumulators[key] = signed(old + e["weight"] * x, config.sum_width)

    def drain(self, c):
        config, rows = self.config, []
        total = [0] * config.lanes
        self.counters["drain_entries"] += c["count"]
        for t in range(c["count"]):
            o = self.order.get(c["order_base"] + t, {"pe": 0, "slot": 0, "last": 0})
            for lane in range(config.lanes):
                part = self.accumulators[o["pe"], c["slot_base"] + o["slot"], lane]
                total[lane] = signed(total[lane] + part, config.sum_width)
            if o["last"]:
                rows.append(total)
                total = [0] * config.lanes
        self.emit(c, rows, 0, Target.MASK_AGGREGATE)

    def transform(self, c):
        config, rows = self.config, []
        R, C, width = config.rows, config.columns, config.sum_width

        def left(i, k):
            return self.chip[Target.LEFT, c["left_base"] + i, c["slice"] * R + k]

        def right(i, column):
            return self.chip[Target.RIGHT, c["right_base"] + i, column]

        if c["mode"] == Mode.WEIGHT_STATIONARY:
            for i in range(c["count"]):
                for column in range(C):
                    s = sum(left(i, k) * right(k, column) for k in range(R))
                    key = c["sum_base"] + i, column
                    self.sums[key] = signed(s if c["first"] else self.sums[key] + s, width)
                rows.append([self.sums[c["sum_base"] + i, column] for column in range(C)])
        elif c["mode"] == Mode.OUTPUT_STATIONARY:
            for k in range(R):
                for column in range(C):
                    s = 0 if c["first"] else self.array[k, column]
                    s += sum(left(i, k) * right(i, column) for i in range(c["count"]))
                    self.array[k, column] = signed(s, width)
            if c["last"]:
                for k in range(R):
                    rows.append([self.array[k, column] for column in range(C)])
                    for column in range(C):
                        self.sums[c["sum_base"] + k, column] = self.array[k, column]
        else:
            for i in range(c["count"]):
                rows.append([self.sums[c["sum_base"] + i, column] for column in range(C)])
        if c["mode"] != Mode.PASS:
            self.counters["transform_rows"] += c["count"]
        if c["last"]:
            low = c["bank"] * config.lanes
            chosen = [row[low : low + config.lanes] for row in rows]
            self.emit(c, chosen, 1, Target.MASK_TRANSFORM)

    def emit(self, c, rows, source, mask):
        assert len(rows) == c["vectors"]
        for i, row in enumerate(rows):
            out = [self.element(c, i, lane, x, mask) for lane, x in enumerate(row)]
            if c["destination"]:
                memory = Target[Destination(c["destination"]).name]
                bank = 0 if memory == Target.OPERAND else c["destination_bank"]
                for lane, x in enumerate(out):
                    place = bank * self.config.lanes + lane
                    self.chip[memory, c["destination_base"] + i, place] = x
            if c["store"]:
                self.give(source, c["raw"], out)

    def element(self, c, i, lane, x, mask):
        row, feature = c["row"] + i & MASK32, c["feature"] + lane
        keep = not (c["relu"] and x < 0)
        if c["mask"]:
            keep = keep and self.chip[mask, c["mask_base"] + i, lane]
        if c["dropout"]:
            byte = random_byte(self.key, row, 0, c["tensor"], feature)
            keep = keep and byte >= c["threshold"]
        x = x if keep else 0
        self.envelopes[c["tensor"]] |= ~x if x < 0 else x
        if c["raw"]:
            return x
        scale = 1 << c["shift"]
        if c["stochastic"]:
            byte = random_byte(self.key, row, 1, c["tensor"], feature)
            rounded = (x + byte * scale // 256) // scale
        else:
            rounded, rest = divmod(x, scale)
            rounded += 2 * rest > scale or (2 * rest == scale and rounded % 2)
        half = 1 << (self.config.operand_width - 1)
        clipped = max(-half, min(half - 1, rounded))
        self.saturations[c["tensor"]] += clipped != rounded
        return clipped

    def store(self, c):
        packing = self.config.sums if c["raw"] else self.config.vector
        self.counters["store_words"] += packing.words(c["count"])
        self.pending += [(c, packing, i) for i in range(c["count"])]

    def give(self, source, raw, vector):
        c, packing, index = self.pending.pop(0)
        assert (c["source"], c["raw"]) == (source, raw)
        at = self.item(packing, c["address"], index)
        size = self.config.sum_bytes if raw else self.config.operand_bytes
        item = b"".join(x.to_bytes(size, "little", signed=True) for x in vector)
        self.memory[at : at + packing.item_bytes] = item.ljust(packing.item_bytes, b"\0")
