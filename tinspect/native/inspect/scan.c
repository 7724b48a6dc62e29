/*
 * A vector test throws out all groups of words without one in [lowest target, highest target); what is left is searched
 * for among the targets. Most memory holds few such words, so the first step sets the pace.
 */
#include "scan.h"

#include "array.h"

#include <string.h>

enum { WORD = 8, GROUP = 128 };

static uint64_t load_word(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof word);
    return word;
}

static const uint8_t *seek_aligned_portable(const uint8_t *at, const uint8_t *end, uint64_t low, uint64_t span)
{
    for (; at < end; at += GROUP) {
        unsigned any = 0;
        for (size_t offset = 0; offset < GROUP; offset += WORD) {
            any |= load_word(at + offset) - low < span;
        }
        if (any) {
            break;
        }
    }
    return at;
}

static const uint8_t *seek_unaligned_portable(const uint8_t *at, const uint8_t *end, uint64_t low, uint64_t span)
{
    for (; at < end; at += GROUP) {
        unsigned any = 0;
        for (size_t offset = 0; offset < GROUP; offset++) {
            any |= load_word(at + offset) - low < span;
        }
        if (any) {
            break;
        }
    }
    return at;
}

static const struct ti_scan_code PORTABLE = {"portable", seek_aligned_portable, seek_unaligned_portable};

#ifdef __x86_64__
#include <immintrin.h>

/*
 * AVX2 compares signed. word - low < span, both unsigned, is the same as (word - low) ^ SIGN < span ^ SIGN, both
 * signed; and x ^ SIGN is x + SIGN, so that one addition serves for the subtraction too.
 */
#define SIGN (1ULL << 63)

__attribute__((target("avx2"))) static inline __m256i in_span(const uint8_t *at, __m256i bias, __m256i limit)
{
    return _mm256_cmpgt_epi64(limit, _mm256_add_epi64(_mm256_loadu_si256((const __m256i *)at), bias));
}

__attribute__((target("avx2"))) static const uint8_t *seek_aligned_avx2(const uint8_t *at, const uint8_t *end,
                                                                        uint64_t low, uint64_t span)
{
    const __m256i bias = _mm256_set1_epi64x((long long)(SIGN - low));
    const __m256i limit = _mm256_set1_epi64x((long long)(span ^ SIGN));
    for (; at < end; at += GROUP) {
        __m256i any = _mm256_or_si256(_mm256_or_si256(in_span(at, bias, limit), in_span(at + 32, bias, limit)),
                                      _mm256_or_si256(in_span(at + 64, bias, limit), in_span(at + 96, bias, limit)));
        if (!_mm256_testz_si256(any, any)) {
            break;
        }
    }
    return at;
}

__attribute__((target("avx2"))) static const uint8_t *seek_unaligned_avx2(const uint8_t *at, const uint8_t *end,
                                                                          uint64_t low, uint64_t span)
{
    const __m256i bias = _mm256_set1_epi64x((long long)(SIGN - low));
    const __m256i limit = _mm256_set1_epi64x((long long)(span ^ SIGN));
    for (; at < end; at += GROUP) {
        __m256i any = _mm256_setzero_si256();
        for (size_t part = 0; part < GROUP; part += 32) {
            for (size_t shift = 0; shift < WORD; shift++) {
                any = _mm256_or_si256(any, in_span(at + part + shift, bias, limit));
            }
        }
        if (!_mm256_testz_si256(any, any)) {
            break;
        }
    }
    return at;
}

static const struct ti_scan_code AVX2 = {"avx2", seek_aligned_avx2, seek_unaligned_avx2};
#endif

const struct ti_scan_code *ti_scan_choose(bool portable)
{
#ifdef __x86_64__
    if (!portable && __builtin_cpu_supports("avx2")) {
        return &AVX2;
    }
#endif
    (void)portable;
    return &PORTABLE;
}

/* Whether a target holds `value`. Without branches: which way a search turns is chance, and a wrong guess costs more
 * than a step. `count` > 0. */
static bool is_in_targets(const struct ti_range *items, size_t count, uint64_t value)
{
    while (count > 1) {
        size_t half = count / 2;
        items += items[half].low <= value ? half : 0;
        count -= half;
    }
    return items->low <= value && value < items->high;
}

static int add_word(struct ti_words *found, uint64_t address, uint64_t value)
{
    if (found->count == found->limit) {
        found->further++;
        return 0;
    }
    struct ti_word *items = ti_array_room(found->items, &found->capacity, found->count, 1, sizeof *items);
    if (!items) {
        return ENOMEM;
    }
    found->items = items;
    items[found->count++] = (struct ti_word){address, value};
    return 0;
}

int ti_scan_block(const struct ti_scan *scan, const uint8_t *block, size_t starts, size_t size, uint64_t address,
                  struct ti_words *found)
{
    size_t step = scan->unaligned ? 1 : WORD;
    size_t at = scan->unaligned ? 0 : -address % WORD;
    if (scan->targets->count == 0 || size < WORD) {
        return 0;
    }
    const struct ti_range *targets = scan->targets->items;
    uint64_t low = targets[0].low, span = targets[scan->targets->count - 1].high - low;
    ti_scan_seek *seek = scan->unaligned ? scan->code->seek_unaligned : scan->code->seek_aligned;
    size_t end = starts < size - WORD + 1 ? starts : size - WORD + 1; /* no word begins here or later */
    while (at < end) {
        size_t groups = (end - at) / GROUP * GROUP;
        if (groups) {
            size_t skipped = (size_t)(seek(block + at, block + at + groups, low, span) - (block + at));
            at += skipped;
            if (skipped == groups) {
                continue;
            }
        }
        size_t group_end = end - at < GROUP ? end : at + GROUP;
        for (; at < group_end; at += step) {
            uint64_t value = load_word(block + at);
            if (value - low < span && is_in_targets(targets, scan->targets->count, value) &&
                add_word(found, address + at, value) != 0) {
                return ENOMEM;
            }
        }
    }
    return 0;
}

void ti_words_free(struct ti_words *words)
{
    free(words->items);
    *words = (struct ti_words){0};
}
