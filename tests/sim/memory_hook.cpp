// SPDX-License-Identifier: Apache-2.0
// Requests through memory.h, cycle by cycle, as a C interface for ctypes.

#include "memory.h"

// A read and a write stream ask from given cycles on; say when each was accepted, and answered.
// Writes come before reads of the same cycle, as in native.cpp.
extern "C" void serve(const gcnloom::MemoryNumbers* numbers, uint32_t word_bytes,
                      const uint64_t* count, const uint64_t* asked, const uint64_t* address,
                      uint64_t* accepted, uint64_t* due) {
    gcnloom::MemoryTiming timing(*numbers, word_bytes);
    timing.restart(0);
    uint64_t next[2] = {0, count[0]};
    const uint64_t end[2] = {count[0], count[0] + count[1]};
    for (uint64_t now = 0; next[0] < end[0] || next[1] < end[1]; ++now) {
        const bool read = next[0] < end[0] && asked[next[0]] <= now;
        const bool write = next[1] < end[1] && asked[next[1]] <= now;
        const auto ready = timing.ready(now, read, read ? address[next[0]] : 0, write,
                                        write ? address[next[1]] : 0);
        for (int way = 1; way >= 0; --way) {
            if (!(way ? write && ready.write : read && ready.read)) continue;
            accepted[next[way]] = now;
            due[next[way]] = timing.accept(now, address[next[way]], way);
            ++next[way];
        }
    }
}
