// SPDX-License-Identifier: Apache-2.0
// The Verilated accelerator with a device memory, as a C interface for ctypes.

#include <cstdint>

#include "Vgcnloom.h"
#include "memory_port.h"
#include "verilated.h"

namespace {

class Device {
  public:
    Device(uint64_t words, uint32_t word_bytes, const gcnloom::MemoryNumbers& model)
        : port_(top_, words, word_bytes, model) {
        top_.rst = 1;
        port_.tick();
        port_.tick();
        top_.rst = 0;
        port_.tick();
    }

    gcnloom::MemoryPort<Vgcnloom>& port() { return port_; }

    // Before a run: answers that an abandoned one asked for go by, and the memory begins anew,
    // so that a program takes the same time whatever ran before.
    void restart() {
        while (!port_.idle()) port_.tick();
        port_.begin_anew();
    }

    void write_register(uint32_t address, uint32_t value) {
        // Runs are set up by register writes: whatever went astray before is another run's.
        port_.forget_fault();
        top_.register_address = address;
        top_.register_write_data = value;
        top_.register_write = 1;
        port_.tick();
        top_.register_write = 0;
        port_.tick();
    }

    uint32_t read_register(uint32_t address, uint32_t cycles) {
        top_.register_address = address;
        for (uint32_t i = 0; i < cycles; ++i) port_.tick();
        return top_.register_read_data;
    }

    // Run until the program ends or `cycles` have passed; return whether it still runs.
    int run(uint64_t cycles) {
        for (uint64_t i = 0; i < cycles; ++i) {
            port_.tick();
            if (!top_.running) return 0;
        }
        return 1;
    }

  private:
    VerilatedContext context_;
    Vgcnloom top_{&context_};
    gcnloom::MemoryPort<Vgcnloom> port_;
};

}  // namespace

extern "C" {
void* gcnloom_new(uint64_t words, uint32_t word_bytes, const gcnloom::MemoryNumbers* model) {
    return new Device(words, word_bytes, *model);
}
void gcnloom_delete(void* device) { delete static_cast<Device*>(device); }
uint8_t* gcnloom_memory(void* device) { return static_cast<Device*>(device)->port().memory(); }
uint64_t gcnloom_fault_address(void* device) {
    return static_cast<Device*>(device)->port().fault_address();
}
void gcnloom_stall(void* device, uint32_t per_mille, uint64_t seed) {
    static_cast<Device*>(device)->port().stall(per_mille, seed);
}
void gcnloom_restart(void* device) { static_cast<Device*>(device)->restart(); }
void gcnloom_write_register(void* device, uint32_t address, uint32_t value) {
    static_cast<Device*>(device)->write_register(address, value);
}
uint32_t gcnloom_read_register(void* device, uint32_t address, uint32_t cycles) {
    return static_cast<Device*>(device)->read_register(address, cycles);
}
int gcnloom_run(void* device, uint64_t cycles) { return static_cast<Device*>(device)->run(cycles); }
}
