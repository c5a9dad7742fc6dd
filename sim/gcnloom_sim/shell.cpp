// SPDX-License-Identifier: Apache-2.0
// A Verilated shell whose UART pins toggle clock by clock; the far end of their line is a
// pseudo-terminal. As a C interface for ctypes.

#include <asm/termbits.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdint>

#include "Vgcnloom.h"
#include "far_uart.h"
#include "memory_port.h"
#include "verilated.h"

namespace {

constexpr uint32_t LOOK = 256;         // clocks between looks at the pseudo-terminal
constexpr uint32_t RESTLESS = 20000;   // clocks after which nothing that was asked is under way
constexpr int NAP_MS = 20;

class Shell {
  public:
    Shell(uint64_t words, uint32_t word_bytes, const gcnloom::MemoryNumbers& model,
          uint64_t clock_hz)
        : port_(top_, words, word_bytes, model), far_(clock_hz) {
        top_.rx = 1;
        top_.rst = 1;
        port_.tick();
        port_.tick();
        top_.rst = 0;
    }

    gcnloom::FarUart& far() { return far_; }
    gcnloom::MemoryPort<Vgcnloom>& port() { return port_; }
    uint64_t clocks() const { return clocks_; }

    // Serve the terminal `fd` for so many clocks, or for a nap if there is nothing to do.
    void serve(int fd, uint64_t clocks) {
        for (uint64_t i = 0; i < clocks; ++i) {
            if (i % LOOK == 0) look(fd);
            if (rested_ > RESTLESS) {
                struct pollfd asked = {fd, POLLIN, 0};
                poll(&asked, 1, NAP_MS);
                look(fd);
                if (far_.idle()) return;
            }
            top_.rx = far_.tick(top_.tx);
            port_.tick();
            ++clocks_;
            rested_ = far_.idle() && !top_.running ? rested_ + 1 : 0;
        }
        look(fd);
    }

  private:
    // The rate of the terminal is the line's; bytes go both ways.
    void look(int fd) {
        struct termios2 terminal;
        if (ioctl(fd, TCGETS2, &terminal) == 0) far_.rate(terminal.c_ospeed);
        uint8_t bytes[64];
        ssize_t count;
        while (far_.wants() && (count = read(fd, bytes, sizeof bytes)) > 0) {
            for (ssize_t i = 0; i < count; ++i) far_.send(bytes[i]);
        }
        auto& received = far_.received();
        while (!received.empty()) {
            // What a terminal nobody reads has no room for is lost, as on any line.
            const uint8_t byte = received.front();
            received.pop_front();
            if (write(fd, &byte, 1) != 1) received.clear();
        }
    }

    VerilatedContext context_;
    Vgcnloom top_{&context_};
    gcnloom::MemoryPort<Vgcnloom> port_;
    gcnloom::FarUart far_;
    uint64_t clocks_ = 0;
    uint32_t rested_ = 0;
};

Shell& shell(void* handle) { return *static_cast<Shell*>(handle); }

}  // namespace

extern "C" {
void* gcnloom_shell_new(uint64_t words, uint32_t word_bytes, const gcnloom::MemoryNumbers* model,
                        uint64_t clock_hz) {
    return new Shell(words, word_bytes, *model, clock_hz);
}
void gcnloom_shell_delete(void* handle) { delete &shell(handle); }
void gcnloom_shell_faults(void* handle, const gcnloom::FaultNumbers* numbers, uint64_t seed) {
    shell(handle).far().faults().set(*numbers, seed);
}
uint64_t gcnloom_shell_happened(void* handle) { return shell(handle).far().faults().happened(); }
uint64_t gcnloom_shell_clocks(void* handle) { return shell(handle).clocks(); }
uint64_t gcnloom_shell_fault_address(void* handle) { return shell(handle).port().fault_address(); }
void gcnloom_shell_serve(void* handle, int fd, uint64_t clocks) {
    shell(handle).serve(fd, clocks);
}
}
