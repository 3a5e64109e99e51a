// Numbers for labels: equal labels have equal numbers, which count on from 0 in the order of first rows.
//
// A hash table with open addressing. A slot holds half of a label's hash, which tells most labels apart, and the
// label's number; the label itself stays where it is.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <vector>

namespace msecli {

struct Numbered {
    std::vector<std::int64_t> codes;   // of every row
    std::vector<std::int64_t> firsts;  // the first row of every code
};

// The finalizer of SplitMix64: every bit of the argument changes half of the bits of the result.
inline std::uint64_t mixed(std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9U;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBU;
    return x ^ (x >> 31);
}

class Integers {
  public:
    explicit Integers(const std::int64_t* values) : values_(values) {}
    std::uint64_t hash(std::size_t row) const { return mixed(static_cast<std::uint64_t>(values_[row])); }
    bool equal(std::size_t row, std::size_t other) const { return values_[row] == values_[other]; }

  private:
    const std::int64_t* values_;
};

// Texts end to end: text k is data[ends[k] : ends[k + 1]].
class Words {
  public:
    Words(const std::uint8_t* data, const std::int32_t* ends) : data_(data), ends_(ends) {}

    std::uint64_t hash(std::size_t row) const {
        const std::uint8_t* at = data_ + ends_[row];
        std::size_t left = size(row);
        std::uint64_t found = left * SPREAD;
        for (; left > 2 * sizeof found; left -= sizeof found, at += sizeof found) found = mixed(found ^ load(at));
        const Ends both = ends(at, left);
        return mixed(found ^ both.first ^ (both.last * SPREAD >> 32 | both.last * SPREAD << 32));
    }

    bool equal(std::size_t row, std::size_t other) const {
        const std::size_t count = size(row);
        if (count != size(other)) return false;
        const std::uint8_t *left = data_ + ends_[row], *right = data_ + ends_[other];
        if (count > 2 * sizeof(std::uint64_t)) return std::memcmp(left, right, count) == 0;
        const Ends ours = ends(left, count), theirs = ends(right, count);
        return ours.first == theirs.first && ours.last == theirs.last;
    }

  private:
    const std::uint8_t* data_;
    const std::int32_t* ends_;

    std::size_t size(std::size_t row) const { return static_cast<std::size_t>(ends_[row + 1] - ends_[row]); }

    // The first and the last bytes of at most 16, which may overlap: together they are all bytes.
    struct Ends {
        std::uint64_t first, last;
    };

    static constexpr std::uint64_t SPREAD = 0x9E3779B97F4A7C15U;  // odd, with its ones spread evenly

    template <typename Word = std::uint64_t>
    static std::uint64_t load(const std::uint8_t* at) {
        Word bytes;
        std::memcpy(&bytes, at, sizeof bytes);
        return bytes;
    }

    static Ends ends(const std::uint8_t* at, std::size_t count) {
        if (count >= 8) return {load(at), load(at + count - 8)};
        if (count >= 4) return {load<std::uint32_t>(at), load<std::uint32_t>(at + count - 4)};
        if (count == 0) return {0, 0};
        return {at[0] | static_cast<std::uint64_t>(at[count / 2]) << 8, at[count - 1]};
    }
};

template <typename Labels>
Numbered numbered(const Labels& labels, std::size_t rows) {
    struct Slot {
        std::uint32_t tag, number;  // the upper half of the hash; the code + 1, or 0 for an empty slot
    };
    if (rows >= std::numeric_limits<std::uint32_t>::max()) throw std::invalid_argument("too many labels at once");
    constexpr std::size_t SMALLEST = 1024, GROWTH = 4;  // the smallest table fits the nearest cache
    std::vector<Slot> slots(SMALLEST);
    Numbered found;
    found.codes.resize(rows);
    for (std::size_t row = 0; row < rows; ++row) {
        const std::uint64_t hash = labels.hash(row);
        const auto tag = static_cast<std::uint32_t>(hash >> 32);
        std::size_t at = hash & (slots.size() - 1);
        while (slots[at].number != 0) {
            const Slot slot = slots[at];
            if (slot.tag == tag && labels.equal(row, static_cast<std::size_t>(found.firsts[slot.number - 1]))) break;
            at = (at + 1) & (slots.size() - 1);
        }
        if (slots[at].number == 0) {
            found.firsts.push_back(static_cast<std::int64_t>(row));
            slots[at] = {tag, static_cast<std::uint32_t>(found.firsts.size())};
        }
        found.codes[row] = slots[at].number - 1;
        if (2 * found.firsts.size() <= slots.size()) continue;
        // More than half full: searches would become long.
        std::vector<Slot> larger(GROWTH * slots.size());
        for (std::uint32_t number = 1; number <= found.firsts.size(); ++number) {
            const std::uint64_t moved = labels.hash(static_cast<std::size_t>(found.firsts[number - 1]));
            std::size_t place = moved & (larger.size() - 1);
            while (larger[place].number != 0) place = (place + 1) & (larger.size() - 1);
            larger[place] = {static_cast<std::uint32_t>(moved >> 32), number};
        }
        slots.swap(larger);
    }
    return found;
}

}  // namespace msecli
