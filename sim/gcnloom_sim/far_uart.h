// SPDX-License-Identifier: Apache-2.0
// The far end of a serial line: a UART of any rate, and what may happen to bytes on their way.

#ifndef GCNLOOM_FAR_UART_H
#define GCNLOOM_FAR_UART_H

#include <cstdint>
#include <deque>

#include "memory_port.h"

namespace gcnloom {

// As FAULTS in shell.py lists them: how many of a million bytes it happens to.
struct FaultNumbers {
    uint32_t flip, drop, duplicate, insert, pause;
};

class Faults {
  public:
    void set(const FaultNumbers& numbers, uint64_t seed) {
        n_ = numbers;
        random_ = Random(seed);
    }
    uint64_t happened() const { return happened_; }

    // Put what becomes of a byte behind `bytes`; return how many bits of silence come before it.
    uint32_t pass(uint8_t byte, std::deque<uint8_t>& bytes) {
        if (strikes(n_.drop)) return 0;
        if (strikes(n_.flip)) byte ^= 1 << random_.below(8);
        if (strikes(n_.insert)) bytes.push_back(random_.below(256));
        if (strikes(n_.duplicate)) bytes.push_back(byte);
        bytes.push_back(byte);
        return strikes(n_.pause) ? random_.below(2000) : 0;
    }

  private:
    bool strikes(uint32_t of_a_million) {
        if (!random_.chance(of_a_million, 1000000)) return false;
        ++happened_;
        return true;
    }

    FaultNumbers n_ = {};
    Random random_{1};
    uint64_t happened_ = 0;
};

class FarUart {
  public:
    explicit FarUart(uint64_t clock_hz) : clock_hz_(clock_hz) {}

    void rate(uint64_t bauds) {
        if (bauds) rate_ = bauds;
    }
    Faults& faults() { return faults_; }

    bool idle() const { return left_ == 0 && !receiving_ && to_send_.empty(); }
    bool wants() const { return to_send_.size() < 256; }
    void send(uint8_t byte) { silence_ += faults_.pass(byte, to_send_); }
    std::deque<uint8_t>& received() { return received_; }

    // A clock: the level of the other end's `tx` goes in, that of its `rx` comes out.
    bool tick(bool line) {
        receive(line);
        return transmit();
    }

  private:
    bool transmit() {
        send_phase_ += rate_;
        if (send_phase_ >= clock_hz_) {
            send_phase_ -= clock_hz_;
            next_bit();
        }
        return level_;
    }

    void next_bit() {
        if (left_ == 0) {
            if (silence_) --silence_;
            if (silence_ || to_send_.empty()) return;
            bits_ = to_send_.front() << 1 | 1 << 9;
            to_send_.pop_front();
            left_ = 10;
        }
        level_ = bits_ & 1;
        bits_ >>= 1;
        --left_;
    }

    void receive(bool line) {
        if (!receiving_) {
            if (before_ && !line) {
                receiving_ = true;
                receive_phase_ = clock_hz_ / 2;
                samples_ = 0;
            }
        } else {
            receive_phase_ += rate_;
            if (receive_phase_ >= clock_hz_) {
                receive_phase_ -= clock_hz_;
                sample(line);
            }
        }
        before_ = line;
    }

    void sample(bool line) {
        if (samples_ == 0 && line) {
            receiving_ = false;
        } else if (samples_ == 9) {
            // A byte without its stop bit is handed on, as most adapters do.
            receiving_ = false;
            faults_.pass(byte_, received_);
        } else if (samples_ > 0) {
            byte_ = byte_ >> 1 | line << 7;
        }
        ++samples_;
    }

    uint64_t clock_hz_, rate_ = 115200;
    Faults faults_;
    std::deque<uint8_t> to_send_, received_;
    uint64_t send_phase_ = 0, receive_phase_ = 0;
    uint32_t bits_ = 0, left_ = 0, silence_ = 0, samples_ = 0;
    bool level_ = true, receiving_ = false, before_ = true;
    uint8_t byte_ = 0;
};

}  // namespace gcnloom

#endif
