/* Thread-local keys that make themselves at first use. */
#include "internal.h"
#include "tinspect/local.h"

#include <errno.h>
#include <pthread.h>

_Static_assert(sizeof(pthread_key_t) <= sizeof(uintptr_t), "a key fits its atomic");

/* 0 means "not made", so a real key 0 is exchanged for the next one. */
static int make_key(pthread_key_t *made, void (*destructor)(void *))
{
    int error = pthread_key_create(made, destructor);
    if (error != 0 || *made != 0) {
        return error;
    }
    pthread_key_t zero = *made;
    error = pthread_key_create(made, destructor);
    pthread_key_delete(zero);
    return error;
}

static ti_status require_key(ti_key *key, pthread_key_t *found)
{
    /* Acquire: pairs with the release below, so that the key exists for whoever sees its number. */
    uintptr_t seen = atomic_load_explicit(&key->key, memory_order_acquire);
    if (TI_LIKELY(seen != 0)) {
        *found = (pthread_key_t)seen;
        return TI_OK;
    }
    pthread_key_t made;
    if (make_key(&made, key->destructor) != 0) {
        return TI_EAGAIN;
    }
    if (!atomic_compare_exchange_strong_explicit(&key->key, &seen, (uintptr_t)made, memory_order_release,
                                                 memory_order_acquire)) {
        pthread_key_delete(made); /* another thread was first; nobody has seen this one */
        *found = (pthread_key_t)seen;
        return TI_OK;
    }
    struct ti_key_record *record = ti_key_register(key, (uint32_t)made, key->name, key->destructor);
    atomic_store_explicit(&key->record, record, memory_order_relaxed);
    *found = made;
    return TI_OK;
}

void *ti_key_get(ti_key *key)
{
    uintptr_t made = atomic_load_explicit(&key->key, memory_order_acquire);
    return TI_LIKELY(made != 0) ? pthread_getspecific((pthread_key_t)made) : NULL;
}

ti_status ti_key_set(ti_key *key, const void *value)
{
    pthread_key_t made;
    ti_status status = require_key(key, &made);
    if (status != TI_OK) {
        return status;
    }
    return pthread_setspecific(made, value) == 0 ? TI_OK : TI_ENOMEM;
}

void ti_key_delete(ti_key *key)
{
    uintptr_t made = atomic_exchange_explicit(&key->key, 0, memory_order_acq_rel);
    if (made == 0) {
        return;
    }
    struct ti_key_record *record = atomic_exchange_explicit(&key->record, NULL, memory_order_relaxed);
    if (record != NULL) {
        ti_key_unregister(record);
    }
    pthread_key_delete((pthread_key_t)made);
}
