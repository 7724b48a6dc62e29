/* Local values: their life from initial over alive to destroyed.
 *
 * Everything here is read and written by one thread, the value's own; nothing needs atomics. A signal handler that uses
 * a value which the interrupted code is just making alive is the user's race, as with any variable. */
#include "tinspect/local.h"
#include "internal.h"
#include "local_end.h"

static unsigned char *value_of(ti_local_head *head)
{
    return (unsigned char *)head + head->offset;
}

static void exchange(unsigned char *one, unsigned char *other, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        unsigned char byte = one[i];
        one[i] = other[i];
        other[i] = byte;
    }
}

/* A destructor runs on a stack that nobody above can catch from. */
static void drop_must_return(bool *returned)
{
    if (!*returned) {
        ti_fatal("a panic left the destructor of a thread-local value");
    }
}

static void drop_value(ti_local_head *head, void *value)
{
    if (head->drop != NULL) {
        bool returned __attribute__((cleanup(drop_must_return))) = false;
        head->drop(value);
        returned = true;
    }
}

/* The phase flips first: a destructor that comes back to its own value finds it destroyed. */
void ti_local_end(void *argument)
{
    ti_local_head *head = argument;
    head->phase = TI_LOCAL_DESTROYED;
    drop_value(head, value_of(head));
}

static void become_alive(ti_local_head *head, ti_local_home home)
{
    head->phase = TI_LOCAL_ALIVE;
    if (head->drop != NULL && home.module != NULL) {
        ti_local_at_end(head, home.module);
    }
}

/* Moves *fresh into the value. If it was alive already (set before, or by an initialiser that was re-entered), the last
 * value stays, and the one before it is dropped once the new one stands. */
static void move_in(ti_local_head *head, void *fresh, ti_local_home home)
{
    if (head->phase == TI_LOCAL_INITIAL) {
        memcpy(value_of(head), fresh, head->size);
        become_alive(head, home);
        return;
    }
    exchange(value_of(head), fresh, head->size);
    drop_value(head, fresh);
}

void *ti_local_start(ti_local_head *head, void *fresh, ti_local_home home)
{
    if (head == NULL || head->phase == TI_LOCAL_DESTROYED) {
        return NULL;
    }
    if (head->phase == TI_LOCAL_INITIAL && head->lazy != NULL) {
        head->lazy(fresh);
        move_in(head, fresh, home);
    } else if (head->phase == TI_LOCAL_INITIAL) {
        become_alive(head, home); /* the constant stands there from the beginning */
    }
    return value_of(head);
}

ti_status ti_local_put(ti_local_head *head, void *fresh, ti_local_home home)
{
    if (head == NULL || head->phase == TI_LOCAL_DESTROYED) {
        return TI_EDESTROYED;
    }
    if (head->loans != 0) {
        return TI_EBORROW;
    }
    move_in(head, fresh, home);
    return TI_OK;
}

ti_status ti_local_lend(ti_local_head *head, bool exclusive)
{
    if (head->loans < 0 || (exclusive && head->loans != 0)) {
        return TI_EBORROW;
    }
    if (head->loans == INT32_MAX) {
        return TI_EOVERFLOW;
    }
    head->loans = exclusive ? -1 : head->loans + 1;
    return TI_OK;
}

void ti_local_give_back(ti_local_head *head)
{
    head->loans = head->loans < 0 ? 0 : head->loans - 1;
}
