/* Alternate signal stacks, one for each slot that ever needed one; they are never unmapped. The slot is the pool: it is
 * given out again only after its thread was joined, or is unknown to the kernel, so no destructor can still need the
 * stack. That also means that the stack need not be switched off, which saves a system call. */
#include "altstack.h"

#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

#include "internal.h"
#include "word_lock.h"

#ifndef AT_MINSIGSTKSZ
#define AT_MINSIGSTKSZ 51
#endif

/* Mapped in batches, each with its own guard page below: a batch costs one mmap. */
enum {
    BATCH = 8,
    ROOM_FOR_HANDLER = 32 * 1024,
};

static struct {
    _Atomic uint32_t lock;
    char *next;
    uint32_t left;
    size_t page;
    size_t size; /* usable bytes of one */
} pool;

static bool refill(void)
{
    if (pool.size == 0) {
        pool.page = (size_t)sysconf(_SC_PAGESIZE);
        size_t frame = getauxval(AT_MINSIGSTKSZ);
        if (frame < (size_t)MINSIGSTKSZ) {
            frame = (size_t)MINSIGSTKSZ;
        }
        pool.size = (frame + ROOM_FOR_HANDLER + pool.page - 1) / pool.page * pool.page;
    }
    size_t stride = pool.page + pool.size;
    char *memory =
        mmap(NULL, stride * BATCH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        return false;
    }
    for (uint32_t i = 0; i < BATCH; i++) {
        if (mprotect(memory + i * stride, pool.page, PROT_NONE) != 0) {
            munmap(memory, stride * BATCH);
            return false;
        }
    }
    pool.next = memory + pool.page;
    pool.left = BATCH;
    return true;
}

static void *take_stack(void)
{
    void *stack = NULL;
    ti_word_lock(&pool.lock);
    if (pool.left != 0 || refill()) {
        stack = pool.next;
        pool.next += pool.page + pool.size;
        pool.left--;
    }
    ti_word_unlock(&pool.lock);
    return stack;
}

struct ti_altstack ti_altstack_install(struct ti_thread_slot *self)
{
    struct ti_altstack none = {0};
    if (self->altstack == NULL && (self->altstack = take_stack()) == NULL) {
        return none;
    }
    stack_t ours = {.ss_sp = self->altstack, .ss_size = pool.size};
    stack_t before;
    if (sigaltstack(&ours, &before) != 0) {
        return none;
    }
    uint64_t low = (uint64_t)(uintptr_t)self->altstack;
    if ((before.ss_flags & SS_DISABLE) == 0) {
        /* Somebody set one before us (a sanitizer, an interposer): it stays. */
        sigaltstack(&before, NULL);
        low = (uint64_t)(uintptr_t)before.ss_sp;
        return (struct ti_altstack){low, low + before.ss_size, 0};
    }
    return (struct ti_altstack){low, low + pool.size, low - pool.page};
}

void ti_altstack_set(struct ti_thread_record *record, const struct ti_altstack *altstack)
{
    ti_set(record->altstack_low, altstack->low);
    ti_set(record->altstack_high, altstack->high);
    ti_set(record->altstack_guard_low, altstack->guard_low);
    if (altstack->high != 0 && altstack->guard_low == 0) {
        ti_set(record->flags, ti_get(record->flags) | TI_THREAD_FOREIGN_ALTSTACK);
    }
}

void ti_altstack_freeze(void)
{
    ti_word_lock(&pool.lock);
}

void ti_altstack_thaw(void)
{
    ti_word_unlock(&pool.lock);
}
