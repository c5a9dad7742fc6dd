// SPDX-License-Identifier: Apache-2.0
// A Verilated netlist with one input `i` and one output `o`, stepped through a list of inputs.

#include <cstdint>
#include <cstring>

#include "Vsteps.h"
#include "verilated.h"

// Ports of all widths lie in memory as little-endian words.
extern "C" void steps(
    const uint8_t* inputs, uint8_t* outputs, uint64_t count, uint64_t in_bytes, uint64_t out_bytes
) {
    VerilatedContext context;
    Vsteps top(&context);
    std::memset(&top.i, 0, sizeof top.i);
    auto edge = [&](int level) {
        top.clk = level;
        top.eval();
    };
    top.rst = 0;
    for (uint64_t step = 0; step < count; ++step) {
        std::memcpy(&top.i, inputs + step * in_bytes, in_bytes);
        edge(0);
        std::memcpy(outputs + step * out_bytes, &top.o, out_bytes);
        edge(1);
    }
}
