/* Local values that live in a key's block, for where compiler thread-locals cannot be had. */
#include "internal.h"
#include "local_end.h"

#include <stdlib.h>

/* A block starts with a link to its key, so that its end finds it. */
struct block {
    ti_local_key *key;
    uint32_t rounds;
    _Alignas(max_align_t) ti_local_head head;
};

static struct block *block_of(void *head)
{
    return (struct block *)((char *)head - offsetof(struct block, head));
}

ti_local_head *ti_local_block(ti_local_key *key)
{
    ti_local_head *head = ti_key_get(&key->key);
    if (TI_LIKELY(head != NULL)) {
        return head;
    }
    struct block *block = malloc(offsetof(struct block, head) + key->size);
    if (block == NULL) {
        ti_fatal("no memory for a thread-local value of %zu bytes", key->size);
    }
    block->key = key;
    block->rounds = 0;
    memcpy(&block->head, key->image, key->size);
    if (ti_key_set(&key->key, &block->head) != TI_OK) {
        ti_fatal("no thread-local key left for a local value");
    }
    return &block->head;
}

/* The key's destructor. The value ends in the first round. The block itself stays until the last one, so that whoever
 * comes later is told "destroyed" instead of getting a value that nobody would end. Should the C library stop calling
 * earlier, a few bytes are lost with the thread. */
void ti_local_key_end(void *head)
{
    enum {
        LAST_ROUND = 3, /* POSIX promises 4 rounds, counted from 0 */
    };
    struct block *block = block_of(head);
    if (block->head.phase != TI_LOCAL_DESTROYED) {
        ti_key_set(&block->key->key, head); /* pthread cleared it; the destructor may come back to the value */
        if (block->head.phase == TI_LOCAL_ALIVE) {
            ti_local_end(head);
        }
        block->head.phase = TI_LOCAL_DESTROYED;
    }
    if (block->rounds++ < LAST_ROUND) {
        ti_key_set(&block->key->key, head);
        return;
    }
    ti_key_set(&block->key->key, NULL);
    free(block);
}
