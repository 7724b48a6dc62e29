#define _GNU_SOURCE
#include "copies.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "array.h"
#include "clock.h"

#define SLICE_BYTES (16ULL << 20) /* one read: under 5 ms, so that a deadline or Ctrl-C is seen soon */
#define HUGE_PAGE (2ULL << 20)

enum { SLICE_RANGES = 1024 };

static int add_chunk(struct ti_copies *copies, uint64_t bytes)
{
    struct ti_chunk *chunks =
        ti_array_room(copies->chunks, &copies->chunk_capacity, copies->chunk_count, 1, sizeof *chunks);
    if (!chunks) {
        return ENOMEM;
    }
    copies->chunks = chunks;
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        return ENOMEM;
    }
    if (bytes >= HUGE_PAGE) {
        madvise(memory, bytes, MADV_HUGEPAGE); /* a wish: 512 times fewer page faults */
    }
    chunks[copies->chunk_count++] = (struct ti_chunk){memory, bytes, 0};
    return 0;
}

int ti_copies_reserve(struct ti_copies *copies, uint64_t bytes)
{
    int error = bytes ? add_chunk(copies, bytes) : 0;
    for (uint64_t at = 0; !error && at < bytes; at += TI_PAGE) {
        ((volatile uint8_t *)copies->chunks[copies->chunk_count - 1].memory)[at] = 0;
    }
    return error;
}

static uint8_t *take_room(struct ti_copies *copies, uint64_t bytes)
{
    for (size_t index = 0; index < copies->chunk_count; index++) {
        struct ti_chunk *chunk = &copies->chunks[index];
        if (chunk->size - chunk->used >= bytes) {
            chunk->used += bytes;
            return chunk->memory + chunk->used - bytes;
        }
    }
    if (add_chunk(copies, bytes) != 0) {
        return NULL;
    }
    struct ti_chunk *chunk = &copies->chunks[copies->chunk_count - 1];
    chunk->used = bytes;
    return chunk->memory;
}

static int add_piece(struct ti_copies *copies, uint64_t low, uint64_t high, const uint8_t *data)
{
    struct ti_piece *last = copies->count ? &copies->pieces[copies->count - 1] : NULL;
    copies->bytes += high - low;
    if (last && last->high == low && last->data + (last->high - last->low) == data) {
        last->high = high;
        return 0;
    }
    struct ti_piece *pieces = ti_array_room(copies->pieces, &copies->capacity, copies->count, 1, sizeof *pieces);
    if (!pieces) {
        return ENOMEM;
    }
    copies->pieces = pieces;
    pieces[copies->count++] = (struct ti_piece){low, high, data};
    return 0;
}

/* Where a copy stands: in range `index` at address `at`; its bytes go to `into`. */
struct cursor {
    size_t index;
    uint64_t at;
    uint8_t *into;
};

static void move_on(struct cursor *cursor, const struct ti_ranges *wanted, uint64_t bytes)
{
    cursor->at += bytes;
    cursor->into += bytes;
    if (cursor->at == wanted->items[cursor->index].high && ++cursor->index < wanted->count) {
        cursor->at = wanted->items[cursor->index].low;
    }
}

static size_t fill_slice(const struct cursor *cursor, const struct ti_ranges *wanted, uint64_t limit,
                         struct ti_range *slice)
{
    size_t count = 0;
    uint64_t bytes = 0;
    for (size_t index = cursor->index; index < wanted->count && count < SLICE_RANGES && bytes < limit; index++) {
        uint64_t low = index == cursor->index ? cursor->at : wanted->items[index].low;
        uint64_t high = wanted->items[index].high;
        high = high - low > limit - bytes ? low + (limit - bytes) : high;
        slice[count++] = (struct ti_range){low, high};
        bytes += high - low;
    }
    return count;
}

static int keep_read(struct ti_copies *copies, struct cursor *cursor, const struct ti_ranges *wanted, uint64_t bytes)
{
    int error = 0;
    while (bytes && !error) {
        uint64_t left = wanted->items[cursor->index].high - cursor->at, part = left < bytes ? left : bytes;
        error = add_piece(copies, cursor->at, cursor->at + part, cursor->into);
        move_on(cursor, wanted, part);
        bytes -= part;
    }
    return error;
}

static int skip(struct cursor *cursor, const struct ti_ranges *wanted, uint64_t bytes, enum ti_gap_kind kind,
                struct ti_gaps *gaps)
{
    int error = ti_gaps_add(gaps, kind, cursor->at, bytes);
    move_on(cursor, wanted, bytes);
    return error;
}

static int skip_rest(struct cursor *cursor, const struct ti_ranges *wanted, enum ti_gap_kind kind, struct ti_gaps *gaps)
{
    int error = 0;
    while (!error && cursor->index < wanted->count) {
        error = skip(cursor, wanted, wanted->items[cursor->index].high - cursor->at, kind, gaps);
    }
    return error;
}

static uint64_t rest_of_page(const struct cursor *cursor, const struct ti_ranges *wanted)
{
    uint64_t in_page = TI_PAGE - cursor->at % TI_PAGE, in_range = wanted->items[cursor->index].high - cursor->at;
    return in_page < in_range ? in_page : in_range;
}

/*
 * Reads slices as long as all goes well. After a failure it goes page by page until one can be read again:
 * process_vm_readv(2) does not promise that a short read ends at the very page that failed.
 */
static int copy_all(struct ti_copies *copies, struct ti_reader *reader, const struct ti_ranges *wanted,
                    struct cursor cursor, const struct ti_patience *patience, struct ti_gaps *gaps)
{
    struct ti_range slice[SLICE_RANGES];
    bool careful = false;
    int error = 0;
    while (!error && cursor.index < wanted->count) {
        if (atomic_load_explicit(patience->cancelled, memory_order_relaxed)) {
            return ECANCELED;
        }
        if (ti_now_ns() > patience->deadline_ns) {
            return skip_rest(&cursor, wanted, TI_GAP_LATE, gaps);
        }
        size_t count = fill_slice(&cursor, wanted, careful ? rest_of_page(&cursor, wanted) : SLICE_BYTES, slice);
        uint64_t bytes = 0;
        for (size_t index = 0; index < count; index++) {
            bytes += slice[index].high - slice[index].low;
        }
        ssize_t got = ti_read_some(reader, slice, count, cursor.into);
        if (got < 0) {
            return skip_rest(&cursor, wanted, TI_GAP_MEMORY, gaps); /* the process is gone */
        }
        error = keep_read(copies, &cursor, wanted, (uint64_t)got);
        if (!error && careful && got == 0) {
            error = skip(&cursor, wanted, bytes, TI_GAP_MEMORY, gaps);
        }
        careful = (uint64_t)got < bytes;
    }
    return error;
}

static int compare_pieces(const void *left, const void *right)
{
    uint64_t a = ((const struct ti_piece *)left)->low, b = ((const struct ti_piece *)right)->low;
    return (a > b) - (a < b);
}

int ti_copies_add(struct ti_copies *copies, struct ti_reader *reader, const struct ti_ranges *wanted,
                  const struct ti_patience *patience, struct ti_gaps *gaps)
{
    if (wanted->count == 0) {
        return 0;
    }
    uint8_t *into = take_room(copies, ti_ranges_bytes(wanted));
    if (!into) {
        return ENOMEM;
    }
    size_t before = copies->count;
    int error = copy_all(copies, reader, wanted, (struct cursor){0, wanted->items[0].low, into}, patience, gaps);
    if (before && copies->count) {
        qsort(copies->pieces, copies->count, sizeof *copies->pieces, compare_pieces);
    }
    return error;
}

const void *ti_copies_find(const struct ti_copies *copies, uint64_t address, uint64_t size)
{
    size_t low = 0, high = copies->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (copies->pieces[middle].high > address) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    const struct ti_piece *piece = low < copies->count ? &copies->pieces[low] : NULL;
    bool inside = piece && piece->low <= address && piece->high - address >= size;
    return inside ? piece->data + (address - piece->low) : NULL;
}

int ti_copies_word(const struct ti_copies *copies, struct ti_reader *reader, uint64_t address, uint64_t *word)
{
    const void *copied = ti_copies_find(copies, address, sizeof *word);
    if (copied) {
        memcpy(word, copied, sizeof *word);
        return 0;
    }
    return ti_read_all(reader, address, sizeof *word, word);
}

int ti_copies_extent(const struct ti_copies *copies, struct ti_ranges *ranges)
{
    int error = 0;
    for (size_t index = 0; !error && index < copies->count; index++) {
        error =
            ti_ranges_add(ranges, copies->pieces[index].low, copies->pieces[index].high - copies->pieces[index].low);
    }
    return error;
}

void ti_copies_free(struct ti_copies *copies)
{
    for (size_t index = 0; index < copies->chunk_count; index++) {
        munmap(copies->chunks[index].memory, copies->chunks[index].size);
    }
    free(copies->chunks);
    free(copies->pieces);
    *copies = (struct ti_copies){0};
}
