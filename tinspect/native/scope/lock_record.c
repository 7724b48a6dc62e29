/* Registry records of named locks and of thread-local keys. */
#include <string.h>

#include "arena.h"
#include "internal.h"

struct ti_lock_record *ti_lock_register(const void *address, enum ti_lock_kind kind, const char *name)
{
    struct ti_lock_record *record = (struct ti_lock_record *)ti_slot_take(TI_KIND_LOCK);
    if (record == NULL) {
        return NULL;
    }
    ti_set(record->address, (uint64_t)(uintptr_t)address);
    ti_set(record->kind, (uint32_t)kind);
    ti_set(record->name_length, ti_text_set(record->name, TI_NAME_INLINE, name, strlen(name)));
    ti_record_end(&record->slot);
    return record;
}

void ti_lock_unregister(struct ti_lock_record *record)
{
    ti_slot_release(TI_KIND_LOCK, &record->slot);
}

struct ti_key_record *ti_key_register(const void *address, uint32_t pthread_key, const char *name,
                                      void (*destructor)(void *))
{
    struct ti_key_record *record = (struct ti_key_record *)ti_slot_take(TI_KIND_KEY);
    if (record == NULL) {
        return NULL;
    }
    const char *words = name == NULL ? "" : name;
    ti_set(record->address, (uint64_t)(uintptr_t)address);
    ti_set(record->destructor, (uint64_t)(uintptr_t)destructor);
    ti_set(record->pthread_key, pthread_key);
    ti_set(record->name_length, ti_text_set(record->name, TI_NAME_INLINE, words, strlen(words)));
    ti_record_end(&record->slot);
    return record;
}

void ti_key_unregister(struct ti_key_record *record)
{
    ti_slot_release(TI_KIND_KEY, &record->slot);
}
