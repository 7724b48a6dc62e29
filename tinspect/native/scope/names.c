/* Thread names: the beginning in the record, a long one whole in a buffer that stays with the slot. Buffers only grow
 * and are never freed, so a reader that loses the race against a rename reads stale bytes, never unmapped ones; the
 * record's sequence tells it to try again. */
#include "names.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

#include "current.h"

struct ti_name_buffer {
    struct ti_name_buffer *smaller; /* what it replaced */
    size_t room;
    _Atomic char text[];
};

ti_status ti_name_measure(const char *name, size_t given, size_t *length)
{
    *length = name == NULL ? 0 : given == 0 ? strlen(name) : given;
    if (*length > TI_NAME_MAX || (*length != 0 && memchr(name, 0, *length) != NULL)) {
        return TI_EINVAL;
    }
    return TI_OK;
}

static _Atomic char *long_name_room(struct ti_thread_slot *thread, size_t length)
{
    struct ti_name_buffer *buffer = thread->name_buffer;
    if (buffer == NULL || buffer->room < length) {
        size_t room = length < 256 ? 256 : 2 * length;
        struct ti_name_buffer *larger = malloc(sizeof *larger + room);
        if (larger == NULL) {
            return NULL;
        }
        larger->smaller = buffer;
        larger->room = room;
        thread->name_buffer = buffer = larger;
    }
    return buffer->text;
}

ti_status ti_name_set(struct ti_thread_slot *thread, const char *name, size_t length)
{
    struct ti_thread_record *record = &thread->record;
    _Atomic char *whole = record->name;
    if (length == 0 && ti_get(record->name_length) == 0) {
        return TI_OK; /* as it is: most threads have no name */
    }
    if (length > TI_NAME_INLINE) {
        whole = long_name_room(thread, length);
        if (whole == NULL) {
            return TI_ENOMEM;
        }
        for (size_t i = 0; i < length; i++) {
            ti_set(whole[i], name[i]);
        }
    }
    ti_text_set(record->name, TI_NAME_INLINE, name, length);
    ti_set(record->name_length, (uint32_t)length);
    ti_set(record->name_truncated, length > TI_NAME_INLINE);
    ti_set(record->name_address, length == 0 ? 0 : (uint64_t)(uintptr_t)whole);
    return TI_OK;
}

void ti_name_to_system(const char *name, size_t length)
{
    char cut[16] = {0};
    memcpy(cut, name, ti_text_fit(name, length, sizeof cut - 1));
    prctl(PR_SET_NAME, cut, 0, 0, 0);
}

/* One try; false if the record changed meanwhile. */
static bool try_read(const struct ti_thread_record *record, char *name, size_t room, size_t *length)
{
    uint32_t before = atomic_load_explicit(&record->slot.sequence, memory_order_acquire);
    size_t whole = ti_get(record->name_length);
    const _Atomic char *text = (const _Atomic char *)(uintptr_t)ti_get(record->name_address);
    /* A torn pair of length and address must not lead past a buffer: both are used only if the sequence stands. */
    atomic_thread_fence(memory_order_acquire);
    if (before & 1u || ti_get(record->slot.sequence) != before) {
        return false;
    }
    size_t copied = whole < room ? whole : room == 0 ? 0 : room - 1;
    for (size_t i = 0; i < copied; i++) {
        name[i] = ti_get(text[i]);
    }
    atomic_thread_fence(memory_order_acquire);
    *length = whole;
    if (room != 0) {
        /* The cut needs the byte behind it to see whether it splits a character. */
        while (copied > 0 && copied < whole && ((unsigned char)ti_get(text[copied]) & 0xC0u) == 0x80u) {
            copied--;
        }
        name[copied] = 0;
    }
    return ti_get(record->slot.sequence) == before;
}

ti_status ti_thread_name(ti_thread thread, char *name, size_t room, size_t *length)
{
    struct ti_thread_record *record;
    size_t whole = 0;
    while ((record = ti_thread_find(thread)) != NULL) {
        if (try_read(record, name, room, &whole) && ti_thread_find(thread) == record) {
            if (length != NULL) {
                *length = whole;
            }
            return TI_OK;
        }
        sched_yield(); /* its writer may be waiting for this CPU */
    }
    return TI_ESTALE;
}

ti_status ti_set_thread_name(const char *name, size_t given)
{
    size_t length;
    ti_status status = ti_name_measure(name, given, &length);
    if (status != TI_OK) {
        return status;
    }
    struct ti_thread_slot *self = ti_current_slot();
    ti_record_begin(&self->record.slot);
    status = ti_name_set(self, name, length);
    ti_record_end(&self->record.slot);
    if (status == TI_OK) {
        ti_name_to_system(name == NULL ? "" : name, length);
    }
    return status;
}
