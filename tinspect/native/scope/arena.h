/* Slots for records: fixed stride, never unmapped, given out again under a new generation. */
#ifndef TI_ARENA_H
#define TI_ARENA_H

#include <stddef.h>

#include "record.h"
#include "tinspect/base.h"

/* One mapped run of slots, as the registry's table of arenas shows it. */
struct ti_arena_entry {
    _Atomic uint32_t kind;
    _Atomic uint32_t first; /* number of the first slot */
    _Atomic uint32_t count;
    _Atomic uint32_t stride; /* bytes */
    _Atomic uint64_t address;
    _Atomic uint64_t spare;
};

#define TI_REGISTRY_MAGIC "TINSPREG"
#define TI_REGISTRY_MAJOR 1u
#define TI_REGISTRY_MINOR 0u
#define TI_BYTE_ORDER_TAG 0x01020304u

/* First bytes of the first arena. */
struct ti_registry_header {
    char magic[8];
    uint32_t byte_order; /* TI_BYTE_ORDER_TAG as this machine stores it */
    uint32_t pointer_size;
    uint16_t major;
    uint16_t minor;
    uint32_t header_size;
    _Atomic uint32_t pid;
    _Atomic uint32_t fork_generation;
    uint64_t started_realtime;  /* CLOCK_REALTIME, ns */
    uint64_t started_monotonic; /* CLOCK_MONOTONIC, ns */
    _Atomic uint64_t epoch;     /* odd while a record is being given out or taken back */
    _Atomic uint32_t arena_count;
    uint32_t arena_offset; /* bytes from the header */
    uint32_t arena_stride;
    uint32_t arena_capacity;
    uint32_t field_count;
    uint32_t field_offset; /* bytes from the header */
    uint32_t field_stride;
    uint32_t kind_count;
    _Atomic uint64_t born[TI_KIND_COUNT]; /* per record kind: the highest id given out */
};

/* One field of a record, so that a reader can parse by table. */
struct ti_registry_field {
    uint16_t kind;   /* enum ti_record_kind; 0: of the header */
    uint16_t format; /* enum ti_field_format */
    uint32_t offset; /* bytes from the start of the record */
    uint32_t width;  /* bytes */
    uint32_t flags;  /* enum ti_field_flag */
    char name[24];
};

enum ti_field_format {
    TI_FORMAT_UINT = 1,
    TI_FORMAT_TEXT = 2, /* UTF-8, its length in the field NAME_length */
    TI_FORMAT_LINK = 3, /* {u64 id, u32 slot, u32 generation} */
};

enum ti_field_flag {
    TI_FIELD_ATOMIC = 1, /* written outside the record's sequence */
};

/* The registry of this process; maps it on the first call. Fatal if there is no address space at all. */
struct ti_registry_header *ti_registry(void);

/* The same, or NULL if nobody has needed it yet. Async-signal-safe. */
struct ti_registry_header *ti_registry_if_mapped(void);

/* Takes a free slot: zeroed behind its head, new generation, new id, and with its sequence odd: fill it in, then
 * ti_record_end. NULL when there is no memory. */
struct ti_slot *ti_slot_take(enum ti_record_kind kind);

/* Gives it back. The caller is its only writer, and what the record said ends here. */
void ti_slot_release(enum ti_record_kind kind, struct ti_slot *slot);

/* The slot of that number, or NULL if there never was one. Takes no lock, async-signal-safe. */
struct ti_slot *ti_slot_at(enum ti_record_kind kind, uint32_t number);

/* How many slots of a kind were ever given out: slots 0 … n-1 are worth looking at. Async-signal-safe. */
uint32_t ti_slot_high_water(enum ti_record_kind kind);

/* The slot that {id, slot, generation} names, or NULL when it is stale. */
struct ti_slot *ti_slot_find(enum ti_record_kind kind, uint64_t id, uint32_t number, uint32_t generation);

/* Around fork: no other thread is in the middle of a change when the address space is copied. */
void ti_arena_freeze(void);
void ti_arena_thaw(void);

static inline void ti_link_set(struct ti_link *link, const struct ti_slot *to)
{
    ti_set(link->id, to == NULL ? 0 : ti_get(to->id));
    ti_set(link->slot, to == NULL ? 0 : ti_get(to->number));
    ti_set(link->generation, to == NULL ? 0 : ti_get(to->generation));
}

/* Copies text into a record's field; cuts it at `room` bytes, at a UTF-8 boundary, and fills the rest with
 * zeros. Returns the bytes stored. */
uint32_t ti_text_set(_Atomic char *field, uint32_t room, const char *text, size_t length);

/* Length of the longest beginning of `text` that fits into `room` bytes and ends at a UTF-8 boundary. */
size_t ti_text_fit(const char *text, size_t length, size_t room);

#endif
