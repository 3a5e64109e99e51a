// Decimal text to float64, correctly rounded.
//
// Nineteen digits and a power of ten become a float64 by the algorithm of Eisel and Lemire, in integers only, so that
// neither the rounding mode nor a flag that flushes subnormals to zero has a say. It needs no other algorithm behind
// it: N. Mushtak, D. Lemire, "Fast number parsing without fallback", Software: Practice and Experience 53(7), 2023.
// Of longer numbers the first nineteen digits almost always decide, too; the others are left to the caller.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>

#if defined(_MSC_VER) && !defined(__clang__)
#include <intrin.h>
#endif

#if defined(_MSC_VER) && !defined(__clang__)
#define MSECLI_INLINE __forceinline
#define MSECLI_APART __declspec(noinline)
#else
#define MSECLI_INLINE inline __attribute__((always_inline))
#define MSECLI_APART __attribute__((noinline))  // seldom called where it would crowd out what is called often
#endif

namespace msecli {

inline bool is_digit(char c) { return static_cast<unsigned char>(c - '0') < 10; }

inline int leading_zeros(std::uint64_t x) {
#if defined(_MSC_VER) && !defined(__clang__)
    unsigned long index;
    _BitScanReverse64(&index, x);
    return 63 - static_cast<int>(index);
#else
    return __builtin_clzll(x);
#endif
}

inline int trailing_zeros(std::uint64_t x) {
#if defined(_MSC_VER) && !defined(__clang__)
    unsigned long index;
    _BitScanForward64(&index, x);
    return static_cast<int>(index);
#else
    return __builtin_ctzll(x);
#endif
}

struct Product {
    std::uint64_t high, low;
};

inline Product multiply(std::uint64_t a, std::uint64_t b) {
#if defined(__SIZEOF_INT128__)
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(a) * b;
    return {static_cast<std::uint64_t>(product >> 64), static_cast<std::uint64_t>(product)};
#elif defined(_M_X64)
    Product product;
    product.low = _umul128(a, b, &product.high);
    return product;
#else
    const std::uint64_t mask = 0xFFFFFFFF, a1 = a >> 32, a0 = a & mask, b1 = b >> 32, b0 = b & mask;
    const std::uint64_t low = a0 * b0, middle = a1 * b0 + (low >> 32), cross = a0 * b1 + (middle & mask);
    return {a1 * b1 + (middle >> 32) + (cross >> 32), (cross << 32) | (low & mask)};
#endif
}

constexpr int SMALLEST_POWER = -342, LARGEST_POWER = 308;
constexpr std::uint64_t POWERS_OF_FIVE[] = {
#include "powers.inc"
};
static_assert(sizeof POWERS_OF_FIVE == 16 * (LARGEST_POWER - SMALLEST_POWER + 1), "powers.inc is incomplete");

inline double from_bits(std::uint64_t bits) {
    double value;
    static_assert(sizeof value == sizeof bits && std::numeric_limits<double>::is_iec559, "float64 is required");
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

constexpr std::uint64_t INFINITY_BITS = std::uint64_t{0x7FF} << 52;

// The float64 nearest to w * 10**q, as bits without a sign.
MSECLI_INLINE std::uint64_t scaled(std::uint64_t w, std::int64_t q) {
    if (w == 0 || q < SMALLEST_POWER) return 0;
    if (q > LARGEST_POWER) return INFINITY_BITS;
    const int zeros = leading_zeros(w);
    w <<= zeros;
    const std::uint64_t* power = POWERS_OF_FIVE + 2 * (q - SMALLEST_POWER);
    Product product = multiply(w, power[0]);
    constexpr std::uint64_t UNDECIDED = ~std::uint64_t{0} >> 55;
    if ((product.high & UNDECIDED) == UNDECIDED) {
        const std::uint64_t more = multiply(w, power[1]).high;
        product.low += more;
        product.high += product.low < more;
    }
    const int upper = static_cast<int>(product.high >> 63), shift = upper + 64 - 52 - 3;
    std::uint64_t mantissa = product.high >> shift;
    // floor(q * log2(10)), the exponent that float64 would store
    std::int64_t exponent = ((217706 * q) >> 16) + 63 + upper - zeros + 1023;
    if (exponent <= 0) {  // subnormal, or rounded up to the smallest normal number
        if (exponent < -62) return 0;
        mantissa >>= 1 - exponent;
        return (mantissa + (mantissa & 1)) >> 1;
    }
    // Halfway between two numbers, which only these powers can be: to the even one.
    if (product.low <= 1 && q >= -4 && q <= 23 && (mantissa & 3) == 1 && mantissa << shift == product.high) {
        mantissa &= ~std::uint64_t{1};
    }
    mantissa = (mantissa + (mantissa & 1)) >> 1;
    if (mantissa >> 53) {
        mantissa >>= 1;
        ++exponent;
    }
    if (exponent >= 0x7FF) return INFINITY_BITS;
    return (mantissa & ((std::uint64_t{1} << 52) - 1)) | static_cast<std::uint64_t>(exponent) << 52;
}

// Read digits, eight at a time, into w, which may wrap around.
MSECLI_INLINE const char* read_digits(const char* p, const char* end, std::uint64_t& w) {
    static constexpr std::uint64_t POWERS_OF_TEN[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};
#if !defined(__BYTE_ORDER__) || __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    while (end - p >= 8) {
        std::uint64_t eight;
        std::memcpy(&eight, p, sizeof eight);
        eight ^= 0x3030303030303030;
        const std::uint64_t other = (eight | (eight + 0x0606060606060606)) & 0xF0F0F0F0F0F0F0F0;
        const int count = other ? trailing_zeros(other) >> 3 : 8;
        if (count == 0) return p;
        // Shifted up, the digits have zeros before them.
        eight <<= 8 * (8 - count);
        eight = eight * 10 + (eight >> 8);
        eight = ((eight & 0x000000FF000000FF) * 0x000F424000000064 +
                 ((eight >> 16) & 0x000000FF000000FF) * 0x0000271000000001) >>
                32;
        w = w * POWERS_OF_TEN[count] + static_cast<std::uint32_t>(eight);
        p += count;
        if (count < 8) return p;
    }
#else
    static_cast<void>(POWERS_OF_TEN);
#endif
    for (; p < end && is_digit(*p); ++p) w = w * 10 + static_cast<std::uint64_t>(*p - '0');
    return p;
}

struct Number {
    const char* end;  // after the number; null if there is none
    double value;
    bool undecided;  // the caller has to convert the text exactly
    bool rounded;    // an integer beyond 2**53 that is not a float64
};

constexpr std::ptrdiff_t DIGITS = 19;  // all fit in 64 bits
constexpr std::uint64_t LAST_EXACT_INTEGER = std::uint64_t{1} << 53;

// Whether a float64 of at least 2**53 has exactly these digits.
inline bool has_digits(double value, const char* first, const char* end) {
    char text[320];
    while (first < end && *first == '0') ++first;
    const int length = std::snprintf(text, sizeof text, "%.0f", value);
    return length == end - first && std::memcmp(text, first, static_cast<std::size_t>(length)) == 0;
}

struct Digits {
    const char *first, *end;  // with a decimal point among them
};

// A number of more than nineteen digits: the first nineteen that count decide, unless it is close to the middle
// between two numbers.
inline Number long_number(Digits digits, const char* end, std::int64_t exponent, char point, bool negative,
                          bool whole) {
    std::uint64_t w = 0;
    std::ptrdiff_t kept = 0;
    bool more = false;
    for (const char* p = digits.first; p < digits.end; ++p) {
        if (*p == point) continue;
        if (kept < DIGITS) {
            w = w * 10 + static_cast<std::uint64_t>(*p - '0');
            kept += w != 0;
        } else {
            more = more || *p != '0';
            ++exponent;
        }
    }
    const std::uint64_t bits = scaled(w, exponent);
    const double size = from_bits(bits);
    const bool large = whole && size >= static_cast<double>(LAST_EXACT_INTEGER) && bits != INFINITY_BITS;
    const bool rounded = large && !has_digits(size, digits.first, digits.end);
    return {end, negative ? -size : size, more && bits != scaled(w + 1, exponent), rounded};
}

// Read the longest number at p: [+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?
MSECLI_INLINE Number read_number(const char* p, const char* end, char point) {
    const bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) ++p;
    const char* const first = p;
    std::uint64_t w = 0;
    for (int few = 0; few < 3 && p < end && is_digit(*p); ++few, ++p) w = w * 10 + static_cast<std::uint64_t>(*p - '0');
    p = read_digits(p, end, w);
    std::ptrdiff_t digits = p - first;
    std::int64_t exponent = 0;
    bool whole = true;
    if (p < end && *p == point) {
        whole = false;
        const char* const fraction = ++p;
        p = read_digits(p, end, w);
        exponent = fraction - p;
        digits += p - fraction;
    }
    if (digits == 0) return {nullptr, 0.0, false, false};
    const char* const last = p;
    if (p < end && (*p == 'e' || *p == 'E')) {
        const char* q = p + 1;
        const bool smaller = q < end && *q == '-';
        if (q < end && (*q == '-' || *q == '+')) ++q;
        if (q < end && is_digit(*q)) {
            std::int64_t written = 0;
            constexpr std::int64_t LARGE = 1000000000000;  // decides whatever the digits are
            for (; q < end && is_digit(*q); ++q) {
                if (written < LARGE) written = 10 * written + (*q - '0');
            }
            exponent += smaller ? -written : written;
            whole = false;
            p = q;
        }
    }
    if (digits > DIGITS) return long_number({first, last}, p, exponent, point, negative, whole);
    const std::uint64_t bits = scaled(w, exponent);
    const double size = from_bits(bits);
    // An integer of nineteen digits is below 2**64.
    const bool rounded = whole && w >= LAST_EXACT_INTEGER && static_cast<std::uint64_t>(size) != w;
    return {p, negative ? -size : size, false, rounded};
}

}  // namespace msecli
