/*
 * A wave is cut into two halves, one for each thread; each keeps what it finds, and the second's is put behind the
 * first's. So the result is the same for one thread and for two.
 */
#include "scan_process.h"

#include "array.h"
#include "read.h"

#include <pthread.h>
#include <unistd.h>

enum {
    BLOCK_BYTES = 256 << 10, /* the fastest size for process_vm_readv: below 64 KiB calls cost, above 1 MiB the cache */
    BLOCK_PIECES = 256,
    WORD_REST = 7, /* the most a word needs beyond the last byte it may begin at */
    TWO_THREADS_FROM = 4 << 20,
};
#define WAVE_BYTES (256ULL << 20)

/* Words begin in [range.low, low + starts) and end by range.high; range is what is read for them. */
struct piece {
    struct ti_range range;
    uint64_t starts;
};

struct position {
    size_t index;
    uint64_t offset;
};

/* One thread's part of a wave. */
struct part {
    const struct ti_process_scan *process;
    struct position at;
    uint64_t left; /* bytes words may still begin at */
    struct ti_words found;
    struct ti_ranges unreadable;
    uint64_t bytes_read;
    int error;
};

struct block {
    uint8_t *bytes;
    struct piece pieces[BLOCK_PIECES];
    struct ti_range ranges[BLOCK_PIECES];
    size_t count;
};

static int add_unreadable(struct ti_ranges *ranges, uint64_t low, uint64_t high)
{
    struct ti_range *last = ranges->count ? &ranges->items[ranges->count - 1] : NULL;
    if (last && last->high >= low && last->low <= low) {
        last->high = high > last->high ? high : last->high;
        return 0;
    }
    if (ranges->count >= TI_SCAN_MOST_UNREADABLE) {
        last->low = low < last->low ? low : last->low;
        last->high = high > last->high ? high : last->high;
        return 0;
    }
    return ti_ranges_add(ranges, low, high - low);
}

/* How far behind `end` a word reaches that begins before it. */
static uint64_t word_rest(const struct ti_scan *scan, uint64_t end)
{
    return scan->unaligned ? WORD_REST : -end % 8;
}

/* Takes the next piece off a part: words may begin in at most `room` bytes of it. False when there is none. */
static bool take_piece(struct part *part, uint64_t room, struct piece *piece)
{
    const struct ti_ranges *sources = part->process->sources;
    while (part->at.index < sources->count) {
        struct ti_range source = sources->items[part->at.index];
        uint64_t low = source.low + part->at.offset, starts = source.high - low;
        if (starts == 0) {
            part->at = (struct position){part->at.index + 1, 0};
            continue;
        }
        if (part->left == 0 || room == 0) {
            return false;
        }
        starts = starts < part->left ? starts : part->left;
        starts = starts < room ? starts : room;
        uint64_t end = low + starts, rest = word_rest(&part->process->scan, end);
        *piece = (struct piece){{low, source.high - end > rest ? end + rest : source.high}, starts};
        part->at.offset += starts;
        part->left -= starts;
        return true;
    }
    return false;
}

static void fill_block(struct part *part, struct block *block)
{
    uint64_t room = BLOCK_BYTES;
    block->count = 0;
    while (block->count < BLOCK_PIECES && take_piece(part, room, &block->pieces[block->count])) {
        block->ranges[block->count] = block->pieces[block->count].range;
        room -= block->pieces[block->count].starts;
        block->count++;
    }
}

/*
 * Scans the first `bytes` read of a block, from piece `first` on. Returns the piece that was not read whole (its range
 * then begins behind the page that stopped the read), block->count if all were.
 */
static size_t scan_pieces(struct part *part, struct block *block, size_t first, uint64_t bytes)
{
    const uint8_t *data = block->bytes;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    for (size_t index = first; index < block->count; index++) {
        struct piece *piece = &block->pieces[index];
        struct ti_range *range = &block->ranges[index];
        uint64_t size = range->high - range->low, got = size < bytes ? size : bytes;
        part->error = ti_scan_block(&part->process->scan, data, piece->starts < got ? piece->starts : got, got,
                                    range->low, &part->found);
        if (part->error) {
            return block->count;
        }
        data += got;
        bytes -= got;
        if (got == size) {
            continue;
        }
        uint64_t bad = range->low + got, behind = (bad & -page) + page;
        behind = behind > bad && behind < range->high ? behind : range->high;
        part->error = add_unreadable(&part->unreadable, bad, behind);
        uint64_t skipped = behind - range->low;
        piece->starts = piece->starts > skipped ? piece->starts - skipped : 0;
        range->low = behind;
        return index;
    }
    return block->count;
}

static void scan_block(struct part *part, struct ti_reader *reader, struct block *block)
{
    size_t first = 0;
    while (first < block->count && !part->error) {
        ssize_t got = ti_read_some(reader, block->ranges + first, block->count - first, block->bytes);
        if (got < 0) {
            part->error = (int)-got;
            return;
        }
        part->bytes_read += (uint64_t)got;
        first = scan_pieces(part, block, first, (uint64_t)got);
    }
}

static void *scan_part(void *argument)
{
    struct part *part = argument;
    struct block *block = malloc(sizeof *block);
    uint8_t *bytes = malloc(BLOCK_BYTES + BLOCK_PIECES * WORD_REST);
    struct ti_reader reader;
    ti_reader_init(&reader, part->process->tid);
    part->error = block && bytes ? 0 : ENOMEM;
    while (!part->error) {
        block->bytes = bytes;
        fill_block(part, block);
        if (block->count == 0) {
            break;
        }
        scan_block(part, &reader, block);
    }
    ti_reader_close(&reader);
    free(bytes);
    free(block);
    return NULL;
}

static struct position move_on(const struct ti_ranges *sources, struct position at, uint64_t bytes, uint64_t *moved)
{
    uint64_t left = bytes;
    while (at.index < sources->count && left > 0) {
        uint64_t rest = sources->items[at.index].high - sources->items[at.index].low - at.offset;
        if (rest > left) {
            at.offset += left;
            left = 0;
        } else {
            left -= rest;
            at = (struct position){at.index + 1, 0};
        }
    }
    *moved = bytes - left;
    return at;
}

static int append_words(struct ti_words *words, const struct ti_words *more)
{
    size_t room = words->limit - words->count, taken = more->count < room ? more->count : room;
    words->further += more->further + (more->count - taken);
    if (taken == 0) {
        return 0;
    }
    struct ti_word *items = ti_array_room(words->items, &words->capacity, words->count, taken, sizeof *items);
    if (!items) {
        return ENOMEM;
    }
    words->items = items;
    for (size_t index = 0; index < taken; index++) {
        items[words->count++] = more->items[index];
    }
    return 0;
}

/* Adds what a part has found to the whole, and frees it. 0 or an errno. */
static int take_over(struct ti_process_scan *process, struct part *part)
{
    int error = part->error ? part->error : append_words(&process->found, &part->found);
    for (size_t index = 0; !error && index < part->unreadable.count; index++) {
        error =
            add_unreadable(&process->unreadable, part->unreadable.items[index].low, part->unreadable.items[index].high);
    }
    process->bytes_read += part->bytes_read;
    ti_words_free(&part->found);
    ti_ranges_free(&part->unreadable);
    return error;
}

int ti_process_scan_wave(struct ti_process_scan *process)
{
    struct position start = {process->index, process->offset};
    uint64_t bytes, half;
    struct position end = move_on(process->sources, start, WAVE_BYTES, &bytes);
    bool two = process->two_threads && bytes >= TWO_THREADS_FROM;
    struct position middle = move_on(process->sources, start, two ? bytes / 2 & -(uint64_t)BLOCK_BYTES : bytes, &half);
    size_t limit = process->found.limit - process->found.count;
    struct part parts[2] = {
        {.process = process, .at = start, .left = half, .found.limit = limit},
        {.process = process, .at = middle, .left = bytes - half, .found.limit = limit},
    };
    pthread_t helper;
    two = two && pthread_create(&helper, NULL, scan_part, &parts[1]) == 0;
    scan_part(&parts[0]);
    if (two) {
        pthread_join(helper, NULL); /* the parts live on this stack: nothing may return before the other is done */
    } else {
        scan_part(&parts[1]);
    }
    int first_error = take_over(process, &parts[0]), second_error = take_over(process, &parts[1]);
    process->index = end.index;
    process->offset = end.offset;
    return first_error ? -first_error : second_error ? -second_error : end.index < process->sources->count;
}

void ti_process_scan_free(struct ti_process_scan *process)
{
    ti_words_free(&process->found);
    ti_ranges_free(&process->unreadable);
}
