// Sixteen bytes at a time: which of them are a certain character.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
#elif defined(__ARM_NEON) && defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "decimal.hpp"

namespace msecli {

// Sets of the sixteen places are integers with one bit for each place, SPREAD bits apart.
struct Sixteen {
#if defined(__SSE2__) || defined(_M_X64)
    static constexpr int SPREAD = 1;
    __m128i bytes;
    explicit Sixteen(const char* p) : bytes(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))) {}
    std::uint64_t are(char c) const {
        return static_cast<std::uint32_t>(_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(c))));
    }
#elif defined(__ARM_NEON) && defined(__aarch64__)
    static constexpr int SPREAD = 4;
    uint8x16_t bytes;
    explicit Sixteen(const char* p) : bytes(vld1q_u8(reinterpret_cast<const std::uint8_t*>(p))) {}
    std::uint64_t are(char c) const {
        const uint8x16_t equal = vceqq_u8(bytes, vdupq_n_u8(static_cast<std::uint8_t>(c)));
        const uint8x8_t narrow = vshrn_n_u16(vreinterpretq_u16_u8(equal), 4);
        return vget_lane_u64(vreinterpret_u64_u8(narrow), 0) & 0x1111111111111111;
    }
#else
    static constexpr int SPREAD = 1;
    char bytes[16];
    explicit Sixteen(const char* p) { std::memcpy(bytes, p, sizeof bytes); }
    std::uint64_t are(char c) const {
        std::uint64_t places = 0;
        for (int place = 0; place < 16; ++place) places |= static_cast<std::uint64_t>(bytes[place] == c) << place;
        return places;
    }
#endif
    static int first(std::uint64_t places) { return trailing_zeros(places) / SPREAD; }
    static std::uint64_t before_first(std::uint64_t places) { return (places & (~places + 1)) - 1; }
};

}  // namespace msecli
