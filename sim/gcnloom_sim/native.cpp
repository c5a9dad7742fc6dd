// SPDX-License-Identifier: Apache-2.0
// The Verilated accelerator with a device memory, as a C interface for ctypes.
//
// Every cycle: inputs are set from the memory model, combinational outputs settle, transfers
// are sampled, the clock rises. Writes take effect before reads of the same cycle, and when they
// are accepted: a model decides when things happen, never what.

#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

#include "Vgcnloom.h"
#include "memory.h"
#include "verilated.h"

namespace {

class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed * 2654435769u + 88172645463325252ull) {}
    bool chance(uint32_t per_mille) {
        if (per_mille == 0) return false;
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return (state_ >> 20) % 1000 < per_mille;
    }

  private:
    uint64_t state_;
};

struct Answer {
    uint64_t due;
    uint64_t address;
};

class Device {
  public:
    Device(uint64_t words, uint32_t word_bytes, const gcnloom::MemoryNumbers& model)
        : word_bytes_(word_bytes),
          words_(words),
          memory_(words * word_bytes),
          random_(1),
          timing_(model, word_bytes),
          limited_(timing_.limited()),
          latency_(model.latency) {
        top_.rst = 1;
        tick();
        tick();
        top_.rst = 0;
        tick();
    }

    uint8_t* memory() { return memory_.data(); }
    uint64_t fault_address() const { return fault_address_; }

    void stall(uint32_t per_mille, uint64_t seed) {
        stall_ = per_mille;
        random_ = Random(seed);
    }

    // Before a run: answers that an abandoned one asked for go by, and the memory begins anew,
    // so that a program takes the same time whatever ran before.
    void restart() {
        while (!answers_.empty()) tick();
        timing_.restart(now_);
    }

    void write_register(uint32_t address, uint32_t value) {
        // Runs are set up by register writes: whatever went astray before is another run's.
        fault_address_ = UINT64_MAX;
        top_.register_address = address;
        top_.register_write_data = value;
        top_.register_write = 1;
        tick();
        top_.register_write = 0;
        tick();
    }

    uint32_t read_register(uint32_t address, uint32_t cycles) {
        top_.register_address = address;
        for (uint32_t i = 0; i < cycles; ++i) tick();
        return top_.register_read_data;
    }

    // Run until the program ends or `cycles` have passed; return whether it still runs.
    int run(uint64_t cycles) {
        for (uint64_t i = 0; i < cycles; ++i) {
            tick();
            if (!top_.running) return 0;
        }
        return 1;
    }

  private:
    void tick() {
        const bool answering =
            !answers_.empty() && answers_.front().due <= now_ && !random_.chance(stall_);
        top_.answer_valid = answering;
        if (answering) {
            const uint64_t address = answers_.front().address;
            std::memcpy(&top_.answer_data, memory_.data() + address * word_bytes_, word_bytes_);
        }
        // Requests leave registers, so that they are known before the inputs of the cycle are.
        gcnloom::MemoryTiming::Ready ready = {true, true};
        if (limited_) ready = timing_.ready(now_, top_.read_valid, top_.write_valid);
        top_.read_ready = !random_.chance(stall_) && ready.read;
        top_.write_ready = !random_.chance(stall_) && ready.write;
        top_.clk = 0;
        top_.eval();
        if (answering && top_.answer_ready) answers_.pop_front();
        if (top_.write_valid && top_.write_ready) write(top_.write_address);
        if (top_.read_valid && top_.read_ready) {
            const uint64_t address = checked(top_.read_address);
            const uint64_t due =
                limited_ ? timing_.accept(now_, address, false) : now_ + latency_;
            answers_.push_back({due, address});
        }
        top_.clk = 1;
        top_.eval();
        ++now_;
    }

    void write(uint64_t wanted) {
        const uint64_t address = checked(wanted);
        if (limited_) timing_.accept(now_, address, true);
        uint8_t data[256];
        uint8_t mask[32] = {};
        std::memcpy(data, &top_.write_data, word_bytes_);
        std::memcpy(mask, &top_.write_mask, (word_bytes_ + 7) / 8);
        uint8_t* word = memory_.data() + address * word_bytes_;
        for (uint32_t i = 0; i < word_bytes_; ++i) {
            if (mask[i / 8] >> (i % 8) & 1) word[i] = data[i];
        }
    }

    uint64_t checked(uint64_t address) {
        if (address < words_) return address;
        if (fault_address_ == UINT64_MAX) fault_address_ = address;
        return 0;
    }

    VerilatedContext context_;
    Vgcnloom top_{&context_};
    uint32_t word_bytes_;
    uint64_t words_;
    std::vector<uint8_t> memory_;
    std::deque<Answer> answers_;
    Random random_;
    uint64_t now_ = 0;
    uint64_t fault_address_ = UINT64_MAX;
    gcnloom::MemoryTiming timing_;
    bool limited_;
    uint32_t latency_;
    uint32_t stall_ = 0;
};

}  // namespace

extern "C" {
void* gcnloom_new(uint64_t words, uint32_t word_bytes, const gcnloom::MemoryNumbers* model) {
    return new Device(words, word_bytes, *model);
}
void gcnloom_delete(void* device) { delete static_cast<Device*>(device); }
uint8_t* gcnloom_memory(void* device) { return static_cast<Device*>(device)->memory(); }
uint64_t gcnloom_fault_address(void* device) {
    return static_cast<Device*>(device)->fault_address();
}
void gcnloom_stall(void* device, uint32_t per_mille, uint64_t seed) {
    static_cast<Device*>(device)->stall(per_mille, seed);
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
