// Sixty-four bytes at a time: which of them are certain characters.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
#elif defined(__ARM_NEON) && defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "decimal.hpp"

namespace msecli {

// Sets of places are integers; bit k stands for the place k.
using Places = std::uint64_t;

inline int first(Places places) { return trailing_zeros(places); }
inline int last(Places places) { return 63 - leading_zeros(places); }
inline Places before_first(Places places) { return (places & (~places + 1)) - 1; }  // all places if there is none

inline unsigned count(Places places) {
    places -= places >> 1 & 0x5555555555555555;
    places = (places & 0x3333333333333333) + (places >> 2 & 0x3333333333333333);
    places = (places + (places >> 4)) & 0x0F0F0F0F0F0F0F0F;
    return static_cast<unsigned>(places * 0x0101010101010101 >> 56);
}

// The places with an odd number of given ones up to and including them.
inline Places odd(Places places) {
    for (int shift = 1; shift < 64; shift *= 2) places ^= places << shift;
    return places;
}

struct Block {
    static constexpr std::ptrdiff_t SIZE = 64;
#if defined(__SSE2__) || defined(_M_X64)
    __m128i bytes[4];
    explicit Block(const char* p) {
        for (int i = 0; i < 4; ++i) bytes[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p) + i);
    }
    Places are(char a, char b, char c) const {
        Places places = 0;
        for (int i = 0; i < 4; ++i) {
            const auto equal = [&](char wanted) { return _mm_cmpeq_epi8(bytes[i], _mm_set1_epi8(wanted)); };
            const __m128i any = _mm_or_si128(_mm_or_si128(equal(a), equal(b)), equal(c));
            places |= static_cast<Places>(static_cast<std::uint32_t>(_mm_movemask_epi8(any))) << 16 * i;
        }
        return places;
    }
#elif defined(__ARM_NEON) && defined(__aarch64__)
    uint8x16_t bytes[4];
    explicit Block(const char* p) {
        for (int i = 0; i < 4; ++i) bytes[i] = vld1q_u8(reinterpret_cast<const std::uint8_t*>(p) + 16 * i);
    }
    Places are(char a, char b, char c) const {
        const uint8x16_t bits = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
        uint8x16_t any[4];
        for (int i = 0; i < 4; ++i) {
            const auto equal = [&](char wanted) {
                return vceqq_u8(bytes[i], vdupq_n_u8(static_cast<std::uint8_t>(wanted)));
            };
            any[i] = vandq_u8(vorrq_u8(vorrq_u8(equal(a), equal(b)), equal(c)), bits);
        }
        // Sums of neighbours, three times: each byte becomes the eight bits of eight places.
        const uint8x16_t pairs = vpaddq_u8(vpaddq_u8(any[0], any[1]), vpaddq_u8(any[2], any[3]));
        return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(pairs, pairs)), 0);
    }
#else
    char bytes[SIZE];
    explicit Block(const char* p) { std::memcpy(bytes, p, sizeof bytes); }
    Places are(char a, char b, char c) const {
        Places places = 0;
        for (int place = 0; place < SIZE; ++place) {
            const char byte = bytes[place];
            places |= static_cast<Places>(byte == a || byte == b || byte == c) << place;
        }
        return places;
    }
#endif
    Places are(char a, char b) const { return are(a, b, b); }
    Places are(char a) const { return are(a, a, a); }
};

}  // namespace msecli
