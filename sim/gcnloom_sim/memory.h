// SPDX-License-Identifier: Apache-2.0
// When a device memory has done what it is asked for: the models of memory.py.
//
// Requests are served in order, so all that happens for one follows from those before it and is
// worked out when it is accepted. Where the first bytes lie in block RAM, that holds for each tier.

#ifndef GCNLOOM_MEMORY_H
#define GCNLOOM_MEMORY_H

#include <algorithm>
#include <cstdint>
#include <deque>
#include <vector>

namespace gcnloom {

// As `numbers` in memory.py lists them.
struct MemoryNumbers {
    uint32_t queue;
    uint32_t bytes_per_cycle;  // 0: no limit
    uint32_t latency;          // 0: a DRAM
    uint32_t bytes_per_clock, least_burst, most_burst, banks, row_bytes;
    uint32_t activate, precharge, active, read, write;
    uint32_t write_recovery, write_to_read, read_to_write;
    uint32_t refresh, refresh_interval, request, answer, turn;
    uint32_t near_bytes, near_latency, near_queue;  // in block RAM; 0: none
};

class MemoryTiming {
  public:
    MemoryTiming(const MemoryNumbers& numbers, uint32_t word_bytes)
        : n_(numbers), word_bytes_(word_bytes), banks_(std::max(numbers.banks, 1u)) {
        if (!dram()) return;
        const uint32_t bytes = std::max(word_bytes_, n_.least_burst);
        burst_ = clocks(std::min(bytes, n_.most_burst));
        word_ = clocks(bytes);
    }

    bool dram() const { return n_.latency == 0; }
    bool limited() const { return dram() || n_.bytes_per_cycle != 0; }

    // Begin anew: nothing is under way, no row is open, a whole interval until the next refresh.
    void restart(uint64_t now) {
        waiting_.clear();
        near_.clear();
        answered_ = now;
        free_ = now * n_.bytes_per_cycle;
        command_ = bus_ = now;
        refresh_due_ = now + n_.refresh_interval;
        banks_.assign(banks_.size(), Bank());
        wrote_ = false;
        turns_ = 0;
    }

    // Which of a read and a write that ask would be accepted.
    struct Ready {
        bool read, write;
    };
    Ready ready(uint64_t now, bool read, uint64_t reads, bool write, uint64_t writes) {
        const bool near_read = read && near(reads), near_write = write && near(writes);
        const Ready far = far_ready(now, read && !near_read, write && !near_write);
        if (!near_read) return {far.read, near_write || far.write};
        while (!near_.empty() && near_.front() < now) near_.pop_front();
        return {near_.size() < n_.near_queue, near_write || far.write};
    }

    // Accept a request; return when a read's answer is there, which is after those before it.
    uint64_t accept(uint64_t now, uint64_t address, bool write) {
        const bool near_by = near(address);
        uint64_t due = near_by ? now + n_.near_latency : far_accept(now, address, write);
        if (write || n_.near_bytes == 0) return due;
        answered_ = due = std::max(due, answered_ + 1);
        if (near_by) near_.push_back(due);
        return due;
    }

  private:
    struct Bank {
        bool open = false;
        uint64_t row = 0;
        uint64_t closable = 0;
    };

    bool near(uint64_t address) const { return address * word_bytes_ < n_.near_bytes; }

    Ready far_ready(uint64_t now, bool read, bool write) {
        while (!waiting_.empty() && waiting_.front() < now) waiting_.pop_front();
        const size_t room = n_.queue - waiting_.size();
        if (room == 0) return {false, false};
        if (!read || !write) return {!write, !read};
        if (!dram() && room > 1) return {true, true};
        const bool stay = dram() && turns_ < n_.turn;
        const bool writes = stay ? wrote_ : !wrote_;
        return {!writes, writes};
    }

    uint64_t far_accept(uint64_t now, uint64_t address, bool write) {
        turns_ = write == wrote_ ? turns_ + 1 : 1;
        const uint64_t due = dram() ? serve(now, address, write) : move(now);
        wrote_ = write;
        return due;
    }

    uint64_t clocks(uint64_t bytes) const {
        return (bytes + n_.bytes_per_clock - 1) / n_.bytes_per_clock;
    }

    // Bytes follow each other without gaps; `free_` counts the time that one takes.
    uint64_t move(uint64_t now) {
        const uint64_t begin = std::max(free_, now * n_.bytes_per_cycle);
        free_ = begin + word_bytes_;
        waiting_.push_back(begin / n_.bytes_per_cycle);
        return (free_ - 1) / n_.bytes_per_cycle + n_.latency;
    }

    uint64_t serve(uint64_t now, uint64_t address, bool write) {
        while (refresh_due_ <= std::max(now + n_.request, command_)) refresh();
        const uint64_t row = address * word_bytes_ / n_.row_bytes;
        Bank& bank = banks_[row % banks_.size()];
        uint64_t column = std::max(now + n_.request, command_);
        if (!bank.open || bank.row != row) {
            if (bank.open) column = std::max(column, bank.closable) + n_.precharge;
            bank = {true, row, column + n_.active};
            column += n_.activate;
        }
        const uint64_t delay = write ? n_.write : n_.read;
        uint64_t begin = std::max(column + delay, bus_);
        if (write && !wrote_ && bus_ > 0) begin = std::max(begin, bus_ - 1 + n_.read_to_write);
        if (!write && wrote_) begin = std::max(begin, bus_ - 1 + n_.write_to_read + delay);
        bus_ = begin + word_;
        const uint64_t last = bus_ - delay - burst_;
        bank.closable = std::max(bank.closable,
                                 write ? bus_ - 1 + n_.write_recovery : last + burst_);
        command_ = last + 1;
        waiting_.push_back(last);
        return bus_ - 1 + n_.answer;
    }

    void refresh() {
        uint64_t at = std::max(refresh_due_, command_);
        bool open = false;
        for (Bank& bank : banks_) {
            if (!bank.open) continue;
            open = true;
            at = std::max(at, bank.closable);
            bank.open = false;
        }
        command_ = at + (open ? n_.precharge : 0) + n_.refresh;
        refresh_due_ += n_.refresh_interval;
    }

    MemoryNumbers n_;
    uint32_t word_bytes_;
    uint64_t burst_ = 0, word_ = 0;
    std::deque<uint64_t> waiting_;  // when each request in the queue leaves it
    std::deque<uint64_t> near_;     // when each read of block RAM is answered
    uint64_t answered_ = 0;         // when the last read is, of either tier
    std::vector<Bank> banks_;
    uint64_t free_ = 0;         // of a bus
    uint64_t command_ = 0;      // first clock in which a command may be issued
    uint64_t bus_ = 0;          // first clock after the last data
    uint64_t refresh_due_ = 0;
    bool wrote_ = false;
    uint32_t turns_ = 0;
};

}  // namespace gcnloom

#endif
