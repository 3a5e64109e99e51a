// Exact sums of float64 values: integers in units of 2**-1074, the smallest float64.
//
// The values of a block are cut into multiples of 2**g for falling exponents g, as in msecli/core/exact.py, which has
// the proof: with |x| <= 2**(g + SPAN) and M = 1.5 * 2**(g + 52), the bits of x + M are those of M plus the multiple.
#pragma once

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

// Compiled twice where the loader can choose: for processors with AVX2, and for all. The rounding is the same.
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__)
#define MSECLI_CLONES __attribute__((target_clones("avx2", "default"), flatten))
#else
#define MSECLI_CLONES
#endif

namespace msecli {

static_assert(FLT_EVAL_METHOD == 0, "float64 arithmetic must be rounded to float64");

inline std::uint64_t to_bits(double value) {
    std::uint64_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

constexpr int UNIT_EXPONENT = -1074;
constexpr std::size_t BLOCK = 1024;       // values cut at once: in the nearest cache
constexpr int SPAN = 50;                  // so that BLOCK multiples add up without overflow
constexpr int BOTTOM_EXPONENT = -900;     // far above the subnormals, which a processor may flush to zero
constexpr int TOP_EXPONENT = 970 + SPAN;  // M must be finite

// A sum in two's complement.
class Units {
  public:
    static constexpr std::size_t LIMBS = 34;  // 2**63 of the largest values
    std::uint64_t limbs[LIMBS] = {};

    // Add value * 2**(position + UNIT_EXPONENT).
    void add(std::int64_t value, int position) {
        std::size_t at = static_cast<std::size_t>(position) / 64;
        const int shift = position % 64;
        const auto low = static_cast<std::uint64_t>(value);
        const std::uint64_t sign = value < 0 ? ~std::uint64_t{0} : 0;
        const std::uint64_t parts[2] = {low << shift, shift ? low >> (64 - shift) | sign << shift : sign};
        std::uint64_t carry = 0;
        for (std::size_t i = 0; at < LIMBS; ++i, ++at) {
            const std::uint64_t part = i < 2 ? parts[i] : sign;
            if (i >= 2 && carry == (sign & 1)) return;  // nothing changes further up
            const std::uint64_t sum = limbs[at] + part;
            const std::uint64_t whole = sum + carry;
            carry = (sum < part) | (whole < sum);
            limbs[at] = whole;
        }
    }

    // Add a finite value.
    void add(double value) {
        const std::uint64_t bits = to_bits(value);
        const int exponent = static_cast<int>(bits >> 52 & 0x7FF);
        auto mantissa = static_cast<std::int64_t>(bits & ((std::uint64_t{1} << 52) - 1));
        if (exponent > 0) mantissa |= std::int64_t{1} << 52;
        add(bits >> 63 ? -mantissa : mantissa, std::max(exponent, 1) - 1);
    }
};

struct Total {
    Units units;           // of the finite values
    double special = 0.0;  // the sum of the others
};

// The bits of |value| as an integer: they are ordered as the sizes are, with infinity above all finite numbers, and NaN
// above infinity. Compilers find the largest of integers with vectors, of floating-point numbers only one by one.
inline std::int64_t size_of(double value) {
    return static_cast<std::int64_t>(to_bits(value) & ~(std::uint64_t{1} << 63));
}

constexpr std::int64_t INFINITE_SIZE = std::int64_t{0x7FF} << 52;

// Return M plus the multiple of 2**g nearest to `rest`, which loses it.
inline double cut(double& rest, double anchor) {
    const double shifted = rest + anchor;
    rest -= shifted - anchor;
    return shifted;
}

// Add `count` multiples of 2**exponent, which are the differences of the numbers whose bits were added up to `sum`
// from the anchor.
inline void add_multiples(Total& total, std::uint64_t sum, double anchor, std::size_t count, int exponent) {
    sum -= count * to_bits(anchor);  // modulo 2**64, and the sum of the multiples fits
    std::int64_t multiples;
    std::memcpy(&multiples, &sum, sizeof multiples);
    total.units.add(multiples, exponent - UNIT_EXPONENT);
}

// Add at most BLOCK values, which serve as scratch space.
inline void add_block(Total& total, double* x, std::size_t count, std::int64_t largest) {
    int exponent = static_cast<int>(largest >> 52) - 1022;  // |x| < 2**exponent
    if (exponent > TOP_EXPONENT) {
        for (std::size_t i = 0; i < count; ++i) {
            if (std::isfinite(x[i]))
                total.units.add(x[i]);
            else
                total.special += x[i];
        }
        return;
    }
    std::uint64_t left = static_cast<std::uint64_t>(largest);
    // Two digits in one pass: as many as most blocks have.
    for (exponent -= SPAN; left != 0 && exponent >= BOTTOM_EXPONENT; exponent -= 2 * (SPAN + 1)) {
        const int next = exponent - (SPAN + 1);
        const double anchor = std::ldexp(1.5, exponent + 52), next_anchor = std::ldexp(1.5, next + 52);
        std::uint64_t sum = 0, next_sum = 0;
        left = 0;
        for (std::size_t i = 0; i < count; ++i) {
            double rest = x[i];
            sum += to_bits(cut(rest, anchor));
            next_sum += to_bits(cut(rest, next_anchor));
            left |= to_bits(rest) << 1;
            x[i] = rest;
        }
        add_multiples(total, sum, anchor, count, exponent);
        add_multiples(total, next_sum, next_anchor, count, next);
    }
    if (left == 0) return;
    for (std::size_t i = 0; i < count; ++i) total.units.add(x[i]);
}

MSECLI_CLONES inline Total sum_of(const double* values, std::size_t count) {
    Total total;
    double x[BLOCK];
    for (std::size_t start = 0; start < count; start += BLOCK) {
        const std::size_t size = std::min(BLOCK, count - start);
        std::int64_t largest = 0;
        for (std::size_t i = 0; i < size; ++i) {
            x[i] = values[start + i];
            largest = std::max(largest, size_of(x[i]));
        }
        add_block(total, x, size, largest);
    }
    return total;
}

struct SquaredError {
    Total error, weight;
    bool regular = true;  // whether all residuals are finite, and all weights finite and not negative
};

// The sum of w * ((p - t) * (p - t)), rounded as written here, and the sum of w; `weight` may be null.
MSECLI_CLONES inline SquaredError squared_error(const double* prediction, const double* target, const double* weight,
                                                std::size_t count) {
    SquaredError found;
    double x[BLOCK], w[BLOCK];
    for (std::size_t start = 0; start < count; start += BLOCK) {
        const std::size_t size = std::min(BLOCK, count - start);
        const double *p = prediction + start, *t = target + start;
        std::int64_t largest = 0;
        for (std::size_t i = 0; i < size; ++i) {
            const double residual = p[i] - t[i];
            x[i] = residual * residual;
            largest = std::max(largest, size_of(x[i]));
        }
        // A finite square has a finite residual; another may have overflowed.
        for (std::size_t i = 0; i < size && largest >= INFINITE_SIZE; ++i) found.regular &= std::isfinite(p[i] - t[i]);
        if (weight != nullptr) {
            std::int64_t heaviest = 0;
            std::uint64_t negative = 0;
            largest = 0;
            for (std::size_t i = 0; i < size; ++i) {
                w[i] = weight[start + i];
                negative |= to_bits(std::min(w[i], 0.0)) << 1;
                heaviest = std::max(heaviest, size_of(w[i]));
                x[i] *= w[i];
                largest = std::max(largest, size_of(x[i]));
            }
            found.regular &= negative == 0 && heaviest < INFINITE_SIZE;
            if (found.regular) add_block(found.weight, w, size, heaviest);
        }
        if (!found.regular) return found;
        add_block(found.error, x, size, largest);
    }
    return found;
}

constexpr double MODERATE = 0x1p200;  // as in msecli/core/wide.py: such products are normal numbers

inline bool is_moderate(double value) {
    const double size = std::fabs(value);
    return value == 0 || (size >= 1 / MODERATE && size <= MODERATE);
}

// Write 2 * (p - t) * w / denominator, rounded as written here. Return false, with `out` in disorder, if a residual
// or a weight is not as above, or if a product could leave the range of normal numbers.
MSECLI_CLONES inline bool gradient(const double* prediction, const double* target, const double* weight,
                                   double denominator, double* out, std::size_t count) {
    for (std::size_t start = 0; start < count; start += BLOCK) {
        const std::size_t end = std::min(start + BLOCK, count);
        unsigned odd = 0;
        for (std::size_t i = start; i < end; ++i) {
            const double residual = prediction[i] - target[i], doubled = residual * 2.0;
            odd |= std::fabs(residual) < 0x1p1023 ? 0 : 1;
            if (weight == nullptr) {
                out[i] = doubled / denominator;
                continue;
            }
            odd |= weight[i] >= 0 && is_moderate(doubled) && is_moderate(weight[i]) ? 0 : 1;
            out[i] = doubled * weight[i] / denominator;
        }
        if (odd != 0) return false;
    }
    return true;
}

// A sum for each of many slots: digits of WIDTH bits, as in msecli/core/exact.py.
constexpr int WIDTH = 36;
constexpr std::size_t MOST_VALUES = std::size_t{1} << 26;  // whose digits add up without overflow

struct Slots {
    std::size_t first_level = 0, levels = 0;
    std::vector<std::int64_t> digits;  // of slot 0 from the lowest level up, of slot 1, ...
    std::vector<double> special;       // empty if all values are finite

    // Add value * 2**(position + UNIT_EXPONENT).
    void add(std::size_t slot, std::int64_t value, unsigned position) {
        constexpr std::uint64_t MASK = (std::uint64_t{1} << WIDTH) - 1;
        const std::int64_t sign = value < 0 ? -1 : 1;
        const auto size = static_cast<std::uint64_t>(value < 0 ? -value : value);
        const unsigned shift = position % WIDTH;
        const std::uint64_t rest = size >> (WIDTH - shift);
        std::int64_t* const digit = &digits[slot * levels + position / WIDTH - first_level];
        digit[0] += sign * static_cast<std::int64_t>(size << shift & MASK);
        digit[1] += sign * static_cast<std::int64_t>(rest & MASK);
        digit[2] += sign * static_cast<std::int64_t>(rest >> WIDTH);
    }

    void add(std::size_t slot, double value, std::size_t slots) {
        const std::uint64_t bits = to_bits(value);
        const auto exponent = static_cast<unsigned>(bits >> 52 & 0x7FF);
        if (exponent == 0x7FF) {
            special.resize(slots);
            special[slot] += value;
        } else if (value != 0) {
            const std::uint64_t mantissa = (bits & ((std::uint64_t{1} << 52) - 1)) |
                                           (exponent ? std::uint64_t{1} << 52 : 0);
            // What is left of a value has the value's last bit, and zeros below it, perhaps below the first level.
            const unsigned position = std::max(exponent, 1U) - 1;
            const unsigned first = std::max(position, static_cast<unsigned>(first_level) * WIDTH);
            const auto size = static_cast<std::int64_t>(mantissa >> (first - position));
            add(slot, bits >> 63 ? -size : size, first);
        }
    }
};

// Two digits of every value are added to integers of its slot, at exponents that are the same for all; what is left of
// the smallest values, and every value where the exponents are too low or too high, is added by itself.
constexpr int SLOT_SPAN = 42;
constexpr std::size_t SLOT_VALUES = std::size_t{1} << 20;  // so many multiples add up without overflow

// `value_of` gives the value of a row; `codes` are the slots, all of them below `slots`.
template <typename Value>
inline Slots sums_by_slot(Value value_of, const std::int64_t* codes, std::size_t count, std::size_t slots) {
    std::int64_t largest = 0;
    std::uint64_t smallest = ~std::uint64_t{0};
    for (std::size_t i = 0; i < count; ++i) {
        const std::int64_t size = size_of(value_of(i));
        largest = std::max(largest, size < INFINITE_SIZE ? size : 0);
        smallest = std::min(smallest, static_cast<std::uint64_t>(size) - 1);  // 0 becomes the largest number
    }
    Slots sums;
    const auto lowest = static_cast<unsigned>((smallest + 1) >> 52), highest = static_cast<unsigned>(largest >> 52);
    const int exponent = static_cast<int>(highest) - 1022 - SLOT_SPAN, next = exponent - (SLOT_SPAN + 1);
    const bool regular = next >= BOTTOM_EXPONENT && exponent <= TOP_EXPONENT - SPAN;
    if (largest != 0) {
        unsigned bottom = std::max(lowest, 1U) - 1;
        if (regular) bottom = std::min(bottom, static_cast<unsigned>(next - UNIT_EXPONENT));
        sums.first_level = bottom / WIDTH;
        // The sums of SLOT_VALUES multiples begin a level higher than the values.
        sums.levels = (std::max(highest, 1U) - 1) / WIDTH + 4 - sums.first_level;
    }
    sums.digits.assign(slots * sums.levels, 0);
    const double anchor = std::ldexp(1.5, regular ? exponent + 52 : 0);
    const double next_anchor = std::ldexp(1.5, regular ? next + 52 : 0);
    std::vector<std::int64_t> multiples(regular ? 2 * slots : 0);
    double x[BLOCK];
    std::int64_t high[BLOCK], low[BLOCK];
    for (std::size_t start = 0; start < count; start += BLOCK) {
        const std::size_t size = std::min(BLOCK, count - start);
        const std::int64_t* const code = codes + start;
        std::uint64_t left = 1;
        std::int64_t most = 0;
        for (std::size_t i = 0; i < size; ++i) {
            x[i] = value_of(start + i);
            most = std::max(most, size_of(x[i]));
        }
        if (regular && most < INFINITE_SIZE) {
            left = 0;
            for (std::size_t i = 0; i < size; ++i) {
                double rest = x[i];
                high[i] = static_cast<std::int64_t>(to_bits(cut(rest, anchor)) - to_bits(anchor));
                low[i] = static_cast<std::int64_t>(to_bits(cut(rest, next_anchor)) - to_bits(next_anchor));
                left |= to_bits(rest) << 1;
                x[i] = rest;
            }
            for (std::size_t i = 0; i < size; ++i) {
                std::int64_t* const multiple = &multiples[2 * static_cast<std::size_t>(code[i])];
                multiple[0] += high[i];
                multiple[1] += low[i];
            }
        }
        for (std::size_t i = 0; i < size && left != 0; ++i) sums.add(static_cast<std::size_t>(code[i]), x[i], slots);
        if ((start + size) % SLOT_VALUES != 0 && start + size != count) continue;
        for (std::size_t i = 0; i < multiples.size(); ++i) {
            if (multiples[i] != 0) {
                const int unit = i % 2 == 0 ? exponent : next;
                sums.add(i / 2, multiples[i], static_cast<unsigned>(unit - UNIT_EXPONENT));
            }
            multiples[i] = 0;
        }
    }
    return sums;
}

MSECLI_CLONES inline Slots sums_by_slot(const double* values, const std::int64_t* codes, std::size_t count,
                                        std::size_t slots) {
    return sums_by_slot([values](std::size_t i) { return values[i]; }, codes, count, slots);
}

struct SlotErrors {
    Slots error, weight;
    bool regular = true;  // as above, and whether all products are finite
};

// The same as `squared_error`, for each slot.
MSECLI_CLONES inline SlotErrors squared_error_by_slot(const double* prediction, const double* target,
                                                      const double* weight, const std::int64_t* codes,
                                                      std::size_t count, std::size_t slots) {
    SlotErrors found;
    const auto square = [=](std::size_t i) {
        const double residual = prediction[i] - target[i];
        return residual * residual;
    };
    if (weight == nullptr) {
        found.error = sums_by_slot(square, codes, count, slots);
    } else {
        found.error = sums_by_slot([=](std::size_t i) { return square(i) * weight[i]; }, codes, count, slots);
        found.weight = sums_by_slot([=](std::size_t i) { return weight[i]; }, codes, count, slots);
        std::uint64_t negative = 0;
        for (std::size_t i = 0; i < count; ++i) negative |= to_bits(std::min(weight[i], 0.0)) << 1;
        found.regular = negative == 0;
    }
    found.regular &= found.error.special.empty() && found.weight.special.empty();
    return found;
}

}  // namespace msecli
