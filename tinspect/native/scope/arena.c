/* The arena: MAP_PRIVATE memfds named "tinspect". Their name shows in /proc/PID/maps, their bytes reach a core (the
 * kernel dumps private pages that were written), and fork copies them. */
#include "arena.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "forks.h"
#include "internal.h"
#include "registry.h"
#include "slots.h"
#include "word_lock.h"

#define PAGE 4096u
#define ARENA_TABLE_OFFSET 512u
#define FIELD_TABLE_OFFSET 4096u
#define SLOTS_OFFSET 16384u
#define CHUNKS 18u
#define ROUND_UP(value, to) (((value) + (to) - 1) / (to) * (to))
#define STRIDE(type) ROUND_UP(sizeof(type), 64u)

/* Chunk k of a kind holds first_count << k slots, so that a slot's number gives its chunk by one bit scan, and the
 * table of arenas stays short. */
struct kind {
    uint32_t stride;
    uint32_t first_count;
};
static const struct kind kinds[TI_KIND_COUNT] = {
    [TI_KIND_THREAD] = {STRIDE(struct ti_thread_slot), 64}, [TI_KIND_SCOPE] = {STRIDE(struct ti_scope_slot), 32},
    [TI_KIND_LOAN] = {STRIDE(struct ti_loan_slot), 64},     [TI_KIND_CELL] = {STRIDE(struct ti_cell_slot), 32},
    [TI_KIND_LOCK] = {STRIDE(struct ti_lock_record), 32},   [TI_KIND_KEY] = {STRIDE(struct ti_key_record), 32},
};

/* Bytes of the public record: what ti_slot_take zeroes. */
static const uint32_t public_size[TI_KIND_COUNT] = {
    [TI_KIND_THREAD] = sizeof(struct ti_thread_record), [TI_KIND_SCOPE] = sizeof(struct ti_scope_record),
    [TI_KIND_LOAN] = sizeof(struct ti_loan_record),     [TI_KIND_CELL] = sizeof(struct ti_cell_record),
    [TI_KIND_LOCK] = sizeof(struct ti_lock_record),     [TI_KIND_KEY] = sizeof(struct ti_key_record),
};

/* The one registry of this copy of the library. `lock` orders every change; the pointers are atomics so that readers
 * (the overflow handler among them) need no lock. */
static struct {
    _Atomic uint32_t lock;
    _Atomic(struct ti_registry_header *) header;
    _Atomic(char *) chunks[TI_KIND_COUNT][CHUNKS];
    _Atomic uint32_t high_water[TI_KIND_COUNT];
    uint32_t capacity[TI_KIND_COUNT];
    uint32_t free[TI_KIND_COUNT]; /* slot number + 1 */
} arena;

_Static_assert(sizeof(struct ti_registry_header) <= ARENA_TABLE_OFFSET, "the header overlaps the table of arenas");
_Static_assert(ARENA_TABLE_OFFSET + (TI_KIND_COUNT - 1) * CHUNKS * sizeof(struct ti_arena_entry) <= FIELD_TABLE_OFFSET,
               "the table of arenas overlaps the table of fields");
_Static_assert(sizeof(struct ti_slot) == 32 && sizeof(struct ti_link) == 16, "the registry's format is fixed");

/* LeakSanitizer's, if it is there: slots point to what users handed over, and mapped memory is no root by itself. */
extern void __lsan_register_root_region(const void *address, size_t size) __attribute__((weak));

/* close(2) of the C library is a cancellation point, and the arena is locked here: cancelled, it would stay so. */
static void close_uncancelled(int fd)
{
    syscall(SYS_close, fd);
}

static void *map_pages(size_t size)
{
    int fd = memfd_create("tinspect", MFD_CLOEXEC);
    if (fd < 0 || ftruncate(fd, (off_t)size) != 0) {
        /* No memfd here (a seccomp filter, an old kernel): the registry is still found by symbol and note. */
        if (fd >= 0) {
            close_uncancelled(fd);
        }
        void *plain = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        return plain == MAP_FAILED ? NULL : plain;
    }
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    close_uncancelled(fd);
    return memory == MAP_FAILED ? NULL : memory;
}

static void *map_memory(size_t size)
{
    void *memory = map_pages(size);
    if (memory != NULL && __lsan_register_root_region != NULL) {
        __lsan_register_root_region(memory, size);
    }
    return memory;
}

static void add_chunk(struct ti_registry_header *header, enum ti_record_kind kind, uint32_t chunk, char *memory)
{
    uint32_t index = ti_get(header->arena_count);
    struct ti_arena_entry *entry = (struct ti_arena_entry *)((char *)header + ARENA_TABLE_OFFSET) + index;
    ti_set(entry->kind, (uint32_t)kind);
    ti_set(entry->first, arena.capacity[kind]);
    ti_set(entry->count, kinds[kind].first_count << chunk);
    ti_set(entry->stride, kinds[kind].stride);
    ti_set(entry->address, (uint64_t)(uintptr_t)memory);
    arena.capacity[kind] += kinds[kind].first_count << chunk;
    /* release: who sees the count sees the entry; who sees the chunk sees zeroed slots. */
    atomic_store_explicit(&header->arena_count, index + 1, memory_order_release);
    atomic_store_explicit(&arena.chunks[kind][chunk], memory, memory_order_release);
}

static struct ti_registry_header *map_registry(void)
{
    size_t size = SLOTS_OFFSET;
    for (int kind = 1; kind < TI_KIND_COUNT; kind++) {
        size += ROUND_UP((size_t)kinds[kind].stride * kinds[kind].first_count, PAGE);
    }
    char *memory = map_memory(size);
    if (memory == NULL) {
        ti_fatal("no address space for the registry");
    }
    struct ti_registry_header *header = (struct ti_registry_header *)memory;
    ti_registry_describe(header, memory + FIELD_TABLE_OFFSET, SLOTS_OFFSET - FIELD_TABLE_OFFSET);
    header->arena_offset = ARENA_TABLE_OFFSET;
    header->arena_stride = sizeof(struct ti_arena_entry);
    header->arena_capacity = (TI_KIND_COUNT - 1) * CHUNKS;
    header->field_offset = FIELD_TABLE_OFFSET;
    char *at = memory + SLOTS_OFFSET;
    for (int kind = 1; kind < TI_KIND_COUNT; kind++) {
        add_chunk(header, (enum ti_record_kind)kind, 0, at);
        at += ROUND_UP((size_t)kinds[kind].stride * kinds[kind].first_count, PAGE);
    }
    ti_registry_publish(header);
    ti_watch_forks();
    return header;
}

struct ti_registry_header *ti_registry_if_mapped(void)
{
    return atomic_load_explicit(&arena.header, memory_order_acquire);
}

static struct ti_registry_header *registry_locked(void)
{
    struct ti_registry_header *header = atomic_load_explicit(&arena.header, memory_order_relaxed);
    if (TI_UNLIKELY(header == NULL)) {
        header = map_registry();
        atomic_store_explicit(&arena.header, header, memory_order_release);
    }
    return header;
}

struct ti_registry_header *ti_registry(void)
{
    struct ti_registry_header *header = ti_registry_if_mapped();
    if (TI_LIKELY(header != NULL)) {
        return header;
    }
    ti_word_lock(&arena.lock);
    header = registry_locked();
    ti_word_unlock(&arena.lock);
    return header;
}

struct ti_slot *ti_slot_at(enum ti_record_kind kind, uint32_t number)
{
    uint32_t group = number / kinds[kind].first_count + 1;
    uint32_t chunk = 31u - (uint32_t)__builtin_clz(group);
    if (TI_UNLIKELY(chunk >= CHUNKS)) {
        return NULL;
    }
    char *memory = atomic_load_explicit(&arena.chunks[kind][chunk], memory_order_acquire);
    uint32_t first = kinds[kind].first_count * ((1u << chunk) - 1);
    return memory == NULL ? NULL : (struct ti_slot *)(memory + (size_t)(number - first) * kinds[kind].stride);
}

uint32_t ti_slot_high_water(enum ti_record_kind kind)
{
    return atomic_load_explicit(&arena.high_water[kind], memory_order_acquire);
}

struct ti_slot *ti_slot_find(enum ti_record_kind kind, uint64_t id, uint32_t number, uint32_t generation)
{
    struct ti_slot *slot = id == 0 ? NULL : ti_slot_at(kind, number);
    /* acquire on the id: who finds the slot alive sees what its giver wrote before giving the handle away. */
    if (slot == NULL || atomic_load_explicit(&slot->id, memory_order_acquire) != id ||
        ti_get(slot->generation) != generation) {
        return NULL;
    }
    return slot;
}

static struct ti_slot *fresh_slot(struct ti_registry_header *header, enum ti_record_kind kind)
{
    uint32_t number = ti_get(arena.high_water[kind]);
    if (number == arena.capacity[kind]) {
        uint32_t chunk = 31u - (uint32_t)__builtin_clz(number / kinds[kind].first_count + 1);
        size_t size = ROUND_UP((size_t)kinds[kind].stride * ((size_t)kinds[kind].first_count << chunk), PAGE);
        char *memory = chunk < CHUNKS ? map_memory(size) : NULL;
        if (memory == NULL) {
            return NULL;
        }
        add_chunk(header, kind, chunk, memory);
    }
    struct ti_slot *slot = ti_slot_at(kind, number);
    ti_set(slot->number, number);
    atomic_store_explicit(&arena.high_water[kind], number + 1, memory_order_release);
    return slot;
}

/* The epoch is a sequence of its own, written under the arena's lock: a reader that sees the same even number before
 * and after its scan has seen exactly the records that were alive then. */
static void epoch_begin(struct ti_registry_header *header)
{
    ti_set(header->epoch, ti_get(header->epoch) + 1);
    atomic_thread_fence(memory_order_release);
}

static void epoch_end(struct ti_registry_header *header)
{
    atomic_store_explicit(&header->epoch, ti_get(header->epoch) + 1, memory_order_release);
}

static uint64_t next_id(struct ti_registry_header *header, enum ti_record_kind kind)
{
    uint64_t id = ti_get(header->born[kind]) + 1;
    if (TI_UNLIKELY(id == 0)) {
        ti_fatal("ids are exhausted");
    }
    ti_set(header->born[kind], id);
    return id;
}

static void zero_body(struct ti_slot *slot, uint32_t size)
{
    _Atomic uint64_t *word = (_Atomic uint64_t *)(slot + 1);
    for (uint32_t i = 0; i < (size - sizeof *slot) / sizeof *word; i++) {
        ti_set(word[i], 0);
    }
}

struct ti_slot *ti_slot_take(enum ti_record_kind kind)
{
    ti_word_lock(&arena.lock);
    struct ti_registry_header *header = registry_locked();
    struct ti_slot *slot = arena.free[kind] != 0 ? ti_slot_at(kind, arena.free[kind] - 1) : fresh_slot(header, kind);
    if (slot == NULL) {
        ti_word_unlock(&arena.lock);
        return NULL;
    }
    if (arena.free[kind] != 0) {
        arena.free[kind] = ti_get(slot->link);
    }
    epoch_begin(header);
    ti_record_begin(slot);
    ti_set(slot->link, 0);
    ti_set(slot->generation, ti_get(slot->generation) + 1);
    ti_set(slot->id, next_id(header, kind));
    epoch_end(header);
    ti_word_unlock(&arena.lock);
    zero_body(slot, public_size[kind]);
    return slot;
}

void ti_slot_release(enum ti_record_kind kind, struct ti_slot *slot)
{
    ti_word_lock(&arena.lock);
    struct ti_registry_header *header = ti_get(arena.header);
    epoch_begin(header);
    ti_record_begin(slot);
    ti_set(slot->id, 0);
    ti_set(slot->link, arena.free[kind]);
    ti_record_end(slot);
    epoch_end(header);
    arena.free[kind] = ti_get(slot->number) + 1;
    ti_word_unlock(&arena.lock);
}

void ti_arena_freeze(void)
{
    ti_word_lock(&arena.lock);
}

void ti_arena_thaw(void)
{
    ti_word_unlock(&arena.lock);
}

size_t ti_text_fit(const char *text, size_t length, size_t room)
{
    if (length <= room) {
        return length;
    }
    /* A continuation byte (10xxxxxx) right behind the cut means that the cut splits a character: go back to its start.
     */
    size_t cut = room;
    while (cut > 0 && room - cut < 4 && ((unsigned char)text[cut] & 0xC0u) == 0x80u) {
        cut--;
    }
    return cut;
}

uint32_t ti_text_set(_Atomic char *field, uint32_t room, const char *text, size_t length)
{
    uint32_t fits = (uint32_t)ti_text_fit(text, length, room);
    for (uint32_t i = 0; i < fits; i++) {
        ti_set(field[i], text[i]);
    }
    for (uint32_t i = fits; i < room; i++) {
        ti_set(field[i], 0); /* what stood there before must not look like part of it */
    }
    return fits;
}
