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

inline void measure(const double* x, std::size_t count, double& largest, bool& finite) {
    constexpr std::size_t LANES = 8;  // independent of each other, so that the compiler can use vectors
    double sizes[LANES] = {};
    std::uint64_t odd = 0;
    for (std::size_t i = 0; i < count; i += LANES) {
        const std::size_t lanes = std::min(LANES, count - i);
        const auto look = [&](std::size_t lane) {
            const double size = std::fabs(x[i + lane]);
            sizes[lane] = size > sizes[lane] ? size : sizes[lane];
            odd |= to_bits(size - size);  // zero for finite values, otherwise NaN
        };
        if (lanes == LANES) {
            for (std::size_t lane = 0; lane < LANES; ++lane) look(lane);
        } else {
            for (std::size_t lane = 0; lane < lanes; ++lane) look(lane);
        }
    }
    largest = *std::max_element(sizes, sizes + LANES);
    finite = odd == 0;
}

// Add at most BLOCK values, which serve as scratch space.
inline void add_block(Total& total, double* x, std::size_t count) {
    double largest;
    bool finite;
    measure(x, count, largest, finite);
    int exponent = 0;
    static_cast<void>(std::frexp(largest, &exponent));
    if (!finite || exponent > TOP_EXPONENT) {
        for (std::size_t i = 0; i < count; ++i) {
            if (std::isfinite(x[i]))
                total.units.add(x[i]);
            else
                total.special += x[i];
        }
        return;
    }
    std::uint64_t left = to_bits(largest);
    for (exponent -= SPAN; left != 0 && exponent >= BOTTOM_EXPONENT; exponent -= SPAN + 1) {
        const double anchor = std::ldexp(1.5, exponent + 52);
        std::uint64_t sum = 0;
        left = 0;
        for (std::size_t i = 0; i < count; ++i) {
            const double shifted = x[i] + anchor;
            sum += to_bits(shifted);
            x[i] -= shifted - anchor;
            left |= to_bits(x[i]) << 1;
        }
        sum -= count * to_bits(anchor);  // modulo 2**64, and the sum of the multiples fits
        std::int64_t multiples;
        std::memcpy(&multiples, &sum, sizeof multiples);
        total.units.add(multiples, exponent - UNIT_EXPONENT);
    }
    if (left == 0) return;
    for (std::size_t i = 0; i < count; ++i) total.units.add(x[i]);
}

MSECLI_CLONES inline Total sum_of(const double* values, std::size_t count) {
    Total total;
    double x[BLOCK];
    for (std::size_t start = 0; start < count; start += BLOCK) {
        const std::size_t size = std::min(BLOCK, count - start);
        std::copy_n(values + start, size, x);
        add_block(total, x, size);
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
        std::uint64_t odd = 0;
        for (std::size_t i = 0; i < size; ++i) {
            const double residual = p[i] - t[i];
            odd |= to_bits(residual - residual);
            x[i] = residual * residual;
        }
        if (weight != nullptr) {
            for (std::size_t i = 0; i < size; ++i) {
                w[i] = weight[start + i];
                odd |= to_bits(w[i] - w[i]) | to_bits(std::min(w[i], 0.0)) << 1;
                x[i] *= w[i];
            }
            if (odd == 0) add_block(found.weight, w, size);
        }
        if (odd != 0) {
            found.regular = false;
            return found;
        }
        add_block(found.error, x, size);
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
