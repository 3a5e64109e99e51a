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
            const double shifted = x[i] + anchor;
            const double rest = x[i] - (shifted - anchor);
            const double next_shifted = rest + next_anchor;
            x[i] = rest - (next_shifted - next_anchor);
            sum += to_bits(shifted);
            next_sum += to_bits(next_shifted);
            left |= to_bits(x[i]) << 1;
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
};

// `codes` are the slots of the values, all of them below `slots`.
inline Slots sums_by_slot(const double* values, const std::int64_t* codes, std::size_t count, std::size_t slots) {
    const auto exponent_of = [](double value) { return static_cast<unsigned>(to_bits(value) >> 52 & 0x7FF); };
    unsigned lowest = 0x7FF, highest = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const unsigned exponent = exponent_of(values[i]);
        if (values[i] == 0 || exponent == 0x7FF) continue;
        lowest = std::min(lowest, exponent);
        highest = std::max(highest, exponent);
    }
    Slots sums;
    if (lowest <= highest) {
        sums.first_level = (std::max(lowest, 1U) - 1) / WIDTH;
        sums.levels = (std::max(highest, 1U) - 1) / WIDTH + 3 - sums.first_level;
    }
    sums.digits.assign(slots * sums.levels, 0);
    constexpr std::uint64_t MASK = (std::uint64_t{1} << WIDTH) - 1;
    for (std::size_t i = 0; i < count; ++i) {
        const auto slot = static_cast<std::size_t>(codes[i]);
        const std::uint64_t bits = to_bits(values[i]);
        const unsigned exponent = exponent_of(values[i]);
        if (exponent == 0x7FF) {
            sums.special.resize(slots);
            sums.special[slot] += values[i];
            continue;
        }
        if (values[i] == 0) continue;
        const std::uint64_t mantissa =
            (bits & ((std::uint64_t{1} << 52) - 1)) | (exponent ? std::uint64_t{1} << 52 : 0);
        const unsigned position = std::max(exponent, 1U) - 1, shift = position % WIDTH;
        const std::uint64_t rest = mantissa >> (WIDTH - shift);
        const std::int64_t sign = bits >> 63 ? -1 : 1;
        std::int64_t* const digit = &sums.digits[slot * sums.levels + position / WIDTH - sums.first_level];
        digit[0] += sign * static_cast<std::int64_t>(mantissa << shift & MASK);
        digit[1] += sign * static_cast<std::int64_t>(rest & MASK);
        digit[2] += sign * static_cast<std::int64_t>(rest >> WIDTH);
    }
    return sums;
}

}  // namespace msecli
