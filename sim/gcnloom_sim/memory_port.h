// SPDX-License-Identifier: Apache-2.0
// A device memory behind the plain memory port of a Verilated design, see gcnloom_hw.top.
//
// Writes take effect before reads of the same cycle, and when they are accepted: a model decides
// when things happen, never what.

#ifndef GCNLOOM_MEMORY_PORT_H
#define GCNLOOM_MEMORY_PORT_H

#include <cstdint>
#include <cstring>
#include <deque>
#include <vector>

#include "memory.h"

namespace gcnloom {

class Random {
  public:
    explicit Random(uint64_t seed) : state_(seed * 2654435769u + 88172645463325252ull) {}
    bool chance(uint32_t parts, uint32_t of) { return parts != 0 && below(of) < parts; }
    uint32_t below(uint32_t of) {
        state_ ^= state_ << 13;
        state_ ^= state_ >> 7;
        state_ ^= state_ << 17;
        return (state_ >> 20) % of;
    }

  private:
    uint64_t state_;
};

template <class Top>
class MemoryPort {
  public:
    MemoryPort(Top& top, uint64_t words, uint32_t word_bytes, const MemoryNumbers& model)
        : top_(top),
          word_bytes_(word_bytes),
          words_(words),
          memory_(words * word_bytes),
          random_(1),
          timing_(model, word_bytes),
          limited_(timing_.limited()),
          latency_(model.latency) {}

    uint8_t* memory() { return memory_.data(); }
    uint64_t fault_address() const { return fault_address_; }
    void forget_fault() { fault_address_ = UINT64_MAX; }
    bool idle() const { return answers_.empty(); }
    void begin_anew() { timing_.restart(now_); }

    void stall(uint32_t per_mille, uint64_t seed) {
        stall_ = per_mille;
        random_ = Random(seed);
    }

    // Inputs are set from the memory model, combinational outputs settle, transfers are sampled,
    // the clock rises.
    void tick() {
        const bool answering = !answers_.empty() && answers_.front().due <= now_ && !stalls();
        top_.answer_valid = answering;
        if (answering) {
            const uint64_t address = answers_.front().address;
            std::memcpy(&top_.answer_data, memory_.data() + address * word_bytes_, word_bytes_);
        }
        // Requests leave registers, so that they are known before the inputs of the cycle are.
        MemoryTiming::Ready ready = {true, true};
        if (limited_) {
            ready = timing_.ready(now_, top_.read_valid, top_.read_address, top_.write_valid,
                                  top_.write_address);
        }
        top_.read_ready = !stalls() && ready.read;
        top_.write_ready = !stalls() && ready.write;
        top_.clk = 0;
        top_.eval();
        if (answering && top_.answer_ready) answers_.pop_front();
        if (top_.write_valid && top_.write_ready) write(top_.write_address);
        if (top_.read_valid && top_.read_ready) {
            const uint64_t address = checked(top_.read_address);
            const uint64_t due = limited_ ? timing_.accept(now_, address, false) : now_ + latency_;
            answers_.push_back({due, address});
        }
        top_.clk = 1;
        top_.eval();
        ++now_;
    }

  private:
    struct Answer {
        uint64_t due;
        uint64_t address;
    };

    bool stalls() { return random_.chance(stall_, 1000); }

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

    Top& top_;
    uint32_t word_bytes_;
    uint64_t words_;
    std::vector<uint8_t> memory_;
    std::deque<Answer> answers_;
    Random random_;
    uint64_t now_ = 0;
    uint64_t fault_address_ = UINT64_MAX;
    MemoryTiming timing_;
    bool limited_;
    uint32_t latency_;
    uint32_t stall_ = 0;
};

}  // namespace gcnloom

#endif
