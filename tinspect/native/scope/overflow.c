/* Stack overflow: a fault in the guard of the faulting thread's own stack is reported by name, then the process aborts.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "altstack.h"
#include "current.h"
#include "tinspect/thread.h"

/* The kernel keeps this distance between a growing stack and the mapping below (stack_guard_gap, mm/mmap.c). */
#define KERNEL_GAP_PAGES 256u

/* Learnt when the handlers are installed: sysconf is not async-signal-safe. */
static uint64_t page_size;

/* A message is built in place and written at once: no stdio, no allocation, no lock. */
struct message {
    char text[512];
    size_t length;
};

static void add(struct message *message, const char *text)
{
    while (*text != 0 && message->length < sizeof message->text) {
        message->text[message->length++] = *text++;
    }
}

static void add_number(struct message *message, uint64_t value, unsigned base)
{
    char digits[24];
    size_t at = sizeof digits - 1;
    digits[at] = 0;
    do {
        digits[--at] = "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    add(message, digits + at);
}

/* By the bare system call: the C library's asks a thread-local whether the thread is cancelled, and would end it here.
 */
static void write_all(const char *text, size_t length)
{
    while (length > 0) {
        long written = syscall(SYS_write, STDERR_FILENO, text, length);
        if (written <= 0) {
            return;
        }
        text += written;
        length -= (size_t)written;
    }
}

static void flush(struct message *message)
{
    write_all(message->text, message->length);
    message->length = 0;
}

/* The name may be longer than any buffer here; it stands still, because only its own thread changes it. */
static void write_name(const struct ti_thread_record *record)
{
    const char *name = (const char *)(uintptr_t)ti_get(record->name_address);
    size_t length = ti_get(record->name_length);
    if (length == 0) {
        name = (ti_get(record->flags) & TI_THREAD_MAIN) != 0 ? "main" : "<unnamed>";
        length = strlen(name);
    }
    write_all(name, length);
}

static void report(const struct ti_thread_record *record, uint64_t address)
{
    struct message message = {.length = 0};
    add(&message, "\nthread '");
    flush(&message);
    write_name(record);
    add(&message, "' (id ");
    add_number(&message, ti_get(record->slot.id), 10);
    add(&message, ") has overflowed its stack: address 0x");
    add_number(&message, address, 16);
    uint64_t low = ti_get(record->stack_low);
    if (address < low) {
        add(&message, ", ");
        add_number(&message, low - address, 10);
        add(&message, " bytes past its end, 0x");
    } else {
        add(&message, ", in the kernel's gap above its end, 0x");
    }
    add_number(&message, low, 16);
    add(&message, "\n");
    flush(&message);
}

/* The main thread's stack grows until the limit, or until the gap above the mapping below it. The limit may have
 * changed since; the stack's top has not. A fork's child may have a main thread on a stack with a guard like any other.
 */
static bool is_main_overflow(const struct ti_thread_record *record, uint64_t address, int code)
{
    uint64_t low = ti_get(record->stack_low);
    uint64_t gap = KERNEL_GAP_PAGES * page_size;
    bool grows = ti_get(record->guard_low) == ti_get(record->guard_high);
    return low != 0 && grows && code == SEGV_MAPERR && address >= low - gap && address < low + gap;
}

static bool is_overflow(const struct ti_thread_record *record, uint64_t address, int code)
{
    if ((ti_get(record->flags) & TI_THREAD_MAIN) != 0 && is_main_overflow(record, address, code)) {
        return true;
    }
    return address >= ti_get(record->guard_low) && address < ti_get(record->guard_high);
}

/* The faulting thread's record. A stray pointer into another thread's guard is no overflow, so the thread must be this
 * one. Slots are found without a lock and never unmapped; our own record has no other writer than the frame we
 * interrupted. The newest, because the kernel may have given us the tid of a thread whose record is still in limbo. */
static const struct ti_thread_record *find_self(uint32_t tid)
{
    const struct ti_thread_record *self = NULL;
    uint32_t count = ti_slot_high_water(TI_KIND_THREAD);
    for (uint32_t i = 0; i < count; i++) {
        const struct ti_thread_record *record = (const struct ti_thread_record *)ti_slot_at(TI_KIND_THREAD, i);
        if (ti_get(record->slot.id) != 0 && ti_get(record->tid) == tid && ti_get(record->state) != TI_STATE_GONE &&
            ti_get(record->state) != TI_STATE_FINISHED && ti_get(record->state) != TI_STATE_TERMINATED &&
            (self == NULL || ti_get(self->slot.id) < ti_get(record->slot.id))) {
            self = record;
        }
    }
    return self;
}

static void handle_fault(int signal_number, siginfo_t *info, void *context)
{
    (void)context;
    uint32_t tid = (uint32_t)syscall(SYS_gettid);
    uint64_t address = (uint64_t)(uintptr_t)info->si_addr;
    if (info->si_code > 0) {
        const struct ti_thread_record *self = find_self(tid);
        if (self != NULL && is_overflow(self, address, info->si_code)) {
            report(self, address);
            abort();
        }
    }
    /* Not ours: the default action, and the fault happens again when we return. One that was sent has to be sent again.
     */
    struct sigaction action = {.sa_handler = SIG_DFL};
    sigaction(signal_number, &action, NULL);
    if (info->si_code <= 0) {
        syscall(SYS_tgkill, getpid(), tid, signal_number);
    }
}

/* True if the signal's faults come to us now. */
static bool install(int signal_number)
{
    struct sigaction current;
    if (sigaction(signal_number, NULL, &current) != 0) {
        return false;
    }
    if ((current.sa_flags & SA_SIGINFO) != 0) {
        return current.sa_sigaction == handle_fault;
    }
    if (current.sa_handler != SIG_DFL) {
        return false;
    }
    struct sigaction ours = {.sa_sigaction = handle_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&ours.sa_mask);
    return sigaction(signal_number, &ours, NULL) == 0;
}

ti_status ti_overflow_install(void)
{
    struct ti_thread_slot *self = ti_current_slot();
    struct ti_thread_record *record = &self->record;
    page_size = (uint64_t)sysconf(_SC_PAGESIZE);
    struct ti_stack_bounds bounds;
    struct ti_altstack altstack;
    bool bounded = ti_get(record->stack_high) == 0 && ti_bounds_of_current(&bounds);
    bool without = ti_get(record->altstack_high) == 0;
    if (without) {
        altstack = ti_altstack_install(self);
    }
    ti_record_begin(&record->slot);
    if (bounded) {
        ti_bounds_set(record, &bounds);
    }
    if (without) {
        ti_altstack_set(record, &altstack);
    }
    ti_record_end(&record->slot);
    bool segv = install(SIGSEGV);
    bool bus = install(SIGBUS);
    return segv || bus ? TI_OK : TI_EBUSY;
}
