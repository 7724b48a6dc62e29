/* What a reader from outside needs to find the registry and to understand it: docs/internals/registry-format.md. */
#include "registry.h"

#include <stddef.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "internal.h"
#include "tinspect/registry.h"

#define FIELD(kind, type, member, format, flags)                                                                       \
    {kind, format, offsetof(struct type, member), sizeof(((struct type *)0)->member), flags, #member}
#define UINT(kind, type, member) FIELD(kind, type, member, TI_FORMAT_UINT, 0)
#define ATOMIC(kind, type, member) FIELD(kind, type, member, TI_FORMAT_UINT, TI_FIELD_ATOMIC)
#define LINK(kind, type, member) FIELD(kind, type, member, TI_FORMAT_LINK, 0)
#define TEXT(kind, type, member) FIELD(kind, type, member, TI_FORMAT_TEXT, 0)

#define HEAD(kind)                                                                                                     \
    {kind, TI_FORMAT_UINT, offsetof(struct ti_slot, sequence), 4, 0, "sequence"},                                      \
        {kind, TI_FORMAT_UINT, offsetof(struct ti_slot, generation), 4, 0, "generation"},                              \
        {kind, TI_FORMAT_UINT, offsetof(struct ti_slot, id), 8, 0, "id"},                                              \
        {kind, TI_FORMAT_UINT, offsetof(struct ti_slot, number), 4, 0, "number"}

#define T(macro, member) macro(TI_KIND_THREAD, ti_thread_record, member)
#define S(macro, member) macro(TI_KIND_SCOPE, ti_scope_record, member)
#define L(macro, member) macro(TI_KIND_LOAN, ti_loan_record, member)
#define C(macro, member) macro(TI_KIND_CELL, ti_cell_record, member)
#define M(macro, member) macro(TI_KIND_LOCK, ti_lock_record, member)
#define K(macro, member) macro(TI_KIND_KEY, ti_key_record, member)

static const struct ti_registry_field fields[] = {
    HEAD(TI_KIND_THREAD),   T(UINT, tid),
    T(UINT, state),         T(UINT, pthread),
    T(LINK, parent),        T(LINK, scope),
    T(LINK, inner_scope),   T(UINT, stack_low),
    T(UINT, stack_high),    T(UINT, guard_low),
    T(UINT, guard_high),    T(UINT, altstack_low),
    T(UINT, altstack_high), T(UINT, altstack_guard_low),
    T(UINT, entry),         T(UINT, flags),
    T(UINT, wait_kind),     T(UINT, wait_address),
    T(UINT, wait_since),    T(ATOMIC, parker),
    T(ATOMIC, finished),    T(UINT, panic_length),
    T(UINT, name_length),   T(UINT, name_truncated),
    T(UINT, name_address),  T(TEXT, name),
    T(TEXT, panic),         HEAD(TI_KIND_SCOPE),
    S(LINK, owner),         S(LINK, parent),
    S(UINT, created_pc),    S(UINT, frame),
    S(ATOMIC, phase),       S(ATOMIC, running),
    S(ATOMIC, unjoined),    S(ATOMIC, spawned),
    S(ATOMIC, panicked),    S(ATOMIC, closed),
    S(ATOMIC, stopped),     S(UINT, orphaned),
    S(UINT, name_length),   S(UINT, flags),
    S(TEXT, name),          HEAD(TI_KIND_LOAN),
    L(LINK, cell),          L(LINK, scope),
    L(LINK, lender),        L(LINK, borrower),
    L(UINT, low),           L(UINT, high),
    L(UINT, lender_frame),  L(UINT, taken_pc),
    L(UINT, exclusive),     HEAD(TI_KIND_CELL),
    C(LINK, scope),         C(LINK, owner),
    C(UINT, low),           C(UINT, high),
    C(UINT, frame),         C(UINT, created_pc),
    C(UINT, type_flags),    C(UINT, name_length),
    C(TEXT, name),          HEAD(TI_KIND_LOCK),
    M(UINT, address),       M(UINT, kind),
    M(ATOMIC, poisoned),    M(ATOMIC, owner),
    M(ATOMIC, waiters),     M(UINT, name_length),
    M(TEXT, name),          HEAD(TI_KIND_KEY),
    K(UINT, address),       K(UINT, destructor),
    K(UINT, pthread_key),   K(UINT, name_length),
    K(TEXT, name),
};

/* The exported way in. It is data that the runtime writes once, so a core holds its page. */
TI_API struct ti_registry_anchor ti_registry_v1 = {
    .magic = TI_ANCHOR_MAGIC,
    .size = sizeof(struct ti_registry_anchor),
    .major = TI_REGISTRY_MAJOR,
};

/* A note in the ELF file's first page, which kernel cores keep: the distance from the note's own payload to the anchor.
 * A hidden alias makes that distance a link-time constant. The empty section flags say "loaded". */
extern struct ti_registry_anchor ti_registry_anchor_here __attribute__((alias("ti_registry_v1"), visibility("hidden")));
__asm__(".pushsection .note.tinspect, \"a\", %note\n"
        ".balign 4\n"
        ".long 9, 8, 1\n"
        ".asciz \"tinspect\"\n"
        ".balign 4\n"
        ".quad ti_registry_anchor_here - .\n"
        ".popsection\n");

void ti_registry_describe(struct ti_registry_header *header, char *table, size_t room)
{
    _Static_assert(sizeof(struct ti_registry_field) == 40, "the registry's format is fixed");
    if (sizeof fields > room) {
        ti_fatal("the registry's table of fields does not fit");
    }
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    memcpy(table, fields, sizeof fields);
    memcpy(header->magic, TI_REGISTRY_MAGIC, sizeof header->magic);
    header->byte_order = TI_BYTE_ORDER_TAG;
    header->pointer_size = sizeof(void *);
    header->major = TI_REGISTRY_MAJOR;
    header->minor = TI_REGISTRY_MINOR;
    header->header_size = sizeof *header;
    ti_set(header->pid, (uint32_t)getpid());
    header->started_realtime = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
    header->started_monotonic = ti_now();
    header->field_count = sizeof fields / sizeof fields[0];
    header->field_stride = sizeof fields[0];
    header->kind_count = TI_KIND_COUNT;
}

void ti_registry_publish(struct ti_registry_header *header)
{
    /* Through the hidden alias: each copy of the library in a process (an executable, an extension module) has a
     * registry of its own, while the exported name may be bound to another copy's. release: who sees the address sees
     * the header. */
    __atomic_store_n(&ti_registry_anchor_here.address, (uint64_t)(uintptr_t)header, __ATOMIC_RELEASE);
}
