/* A program worth looking at: scopes within scopes, shared and exclusive loans of a parent's locals, parked and blocked
 * threads, thread-local keys with destructors, a stack of the user's own, deep recursion, a thread on its alternate
 * signal stack, one stray pointer that no loan covers, and two that dangle.
 *
 * When all threads stand still it prints what it knows about itself as one line of JSON, and waits until stdin closes.
 * It keeps addresses of stacks only where it means to: everywhere else they are stored as their complement, so that a
 * search for pointers finds those that the story is about and no others. */
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tinspect/runtime.h"

enum role {
    MAIN,
    FIRST_READER,
    SECOND_READER,
    WRITER,
    HOLDER,
    BLOCKED,
    NESTED,
    GRANDCHILD,
    KEYS,
    STRAY,
    DANGLING_FRAME,
    DANGLING_THREAD,
    RECURSION,
    ON_ALTSTACK,
    USER_STACK,
    ROLES,
};

static const char *const names[ROLES] = {
    "demo",           "first reader",    "second reader",  "writer",   "holder",
    "blocked",        "nested",          "grandchild",     "keys",     "stray",
    "dangling frame", "dangling thread", "deep recursion", "altstack", "own stack",
};
static const char *const states[ROLES] = {
    "running", "parked", "parked", "parked", "parked", "blocked", "parked", "parked",
    "parked",  "parked", "parked", "parked", "parked", "parked",  "parked",
};

/* An address that must not be found: its complement. */
typedef uint64_t hidden;
static hidden hide(const volatile void *address)
{
    return ~(uint64_t)(uintptr_t)address;
}
static uint64_t bare(hidden address)
{
    return ~address;
}

/* What a thread says about itself. */
struct truth {
    ti_thread thread;
    uint64_t tid;
    hidden pthread;
    hidden stack_low, stack_high;
    uint64_t guard_size;
    int altstack_flags;
    hidden altstack_low;
    uint64_t altstack_size;
    hidden local; /* of the frame it stands still in */
    _Atomic bool ready;
};

static struct {
    struct truth truths[ROLES];
    _Atomic bool released;
    ti_scope outer, inner;
    ti_cell ledger_cell, total_cell, letter_cell;
    hidden ledger, total, letter;
    hidden stray_target, stray_holder;
    hidden old_frame, old_frame_holder;
    hidden old_thread, old_thread_holder;
    uint64_t old_tid;
    _Atomic bool old_thread_is_gone;
    hidden deepest;
    hidden own_stack;
    uint64_t own_stack_size;
} demo;

enum {
    DEPTH = 800,
    LEDGER = 64,
};

static ti_mutex mutex = TI_MUTEX_INIT;
static const ti_type number = {.size = sizeof number, .name = "number", .flags = TI_TYPE_SEND | TI_TYPE_SYNC};

static void forget(void *value)
{
    free(value);
}
static ti_key session_key = TI_KEY_INIT("session", forget);
static ti_key plain_key = TI_KEY_INIT("plain", NULL);

static void insist(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "tinspect demo: %s failed\n", what);
        exit(2);
    }
}

static void note_stack(struct truth *truth)
{
    pthread_attr_t attributes;
    void *low = NULL;
    size_t size = 0;
    size_t guard = 0;
    insist(pthread_getattr_np(pthread_self(), &attributes) == 0, "pthread_getattr_np");
    pthread_attr_getstack(&attributes, &low, &size);
    pthread_attr_getguardsize(&attributes, &guard);
    pthread_attr_destroy(&attributes);
    truth->stack_low = hide(low);
    truth->stack_high = hide((char *)low + size);
    truth->guard_size = guard;
}

static struct truth *note_self(enum role role)
{
    struct truth *truth = &demo.truths[role];
    stack_t alternate;
    truth->thread = ti_current();
    truth->tid = (uint64_t)syscall(SYS_gettid);
    truth->pthread = hide((void *)pthread_self());
    note_stack(truth);
    sigaltstack(NULL, &alternate);
    truth->altstack_flags = alternate.ss_flags;
    truth->altstack_low = hide(alternate.ss_sp);
    truth->altstack_size = alternate.ss_size;
    return truth;
}

/* Stands still, with the caller's frame on the stack, until the show is over. */
static void stand_still(struct truth *truth, const volatile void *local)
{
    truth->local = hide(local);
    atomic_store(&truth->ready, true);
    while (!atomic_load(&demo.released)) {
        ti_park();
    }
}

static void *read_ledger(void *context)
{
    struct truth *truth = note_self((enum role)(intptr_t)context);
    ti_loan loan;
    const void *data = NULL;
    insist(ti_cell_borrow(demo.ledger_cell, 0, 0, &loan, &data, NULL) == TI_OK, "a shared loan");
    const void *volatile lent = data;
    stand_still(truth, &lent);
    ti_loan_end(loan);
    return NULL;
}

static void *write_total(void *context)
{
    struct truth *truth = note_self((enum role)(intptr_t)context);
    ti_loan loan;
    void *data = NULL;
    insist(ti_cell_borrow_mut(demo.total_cell, 0, 0, &loan, &data, NULL) == TI_OK, "an exclusive loan");
    void *volatile lent = data;
    stand_still(truth, &lent);
    ti_loan_end(loan);
    return NULL;
}

static void *hold_mutex(void *context)
{
    struct truth *truth = note_self((enum role)(intptr_t)context);
    volatile int local = 0;
    insist(ti_lock(&mutex) == TI_OK, "locking");
    stand_still(truth, &local);
    ti_unlock(&mutex);
    return NULL;
}

static void *block_on_mutex(void *context)
{
    struct truth *truth = note_self((enum role)(intptr_t)context);
    volatile int local = 0;
    while (!atomic_load(&demo.truths[HOLDER].ready)) {
        ti_yield();
    }
    truth->local = hide(&local);
    atomic_store(&truth->ready, true);
    insist(ti_lock(&mutex) == TI_OK, "locking");
    ti_unlock(&mutex);
    return NULL;
}

static void spawn(ti_scope scope, enum role role, ti_thread_function function)
{
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.name = names[role];
    insist(ti_spawn(scope, &options, function, (void *)(intptr_t)role, NULL) == TI_OK, "spawning");
}

static void *read_letter(void *context)
{
    struct truth *truth = note_self((enum role)(intptr_t)context);
    ti_loan loan;
    const void *data = NULL;
    insist(ti_cell_borrow(demo.letter_cell, 8, 16, &loan, &data, NULL) == TI_OK, "a loan of a part");
    const void *volatile lent = data;
    stand_still(truth, &lent);
    ti_loan_end(loan);
    return NULL;
}

static void *inner_body(ti_scope scope, void *context)
{
    char letter[64] = "from the nested thread to its child";
    struct truth *truth = context;
    demo.inner = scope;
    demo.letter = hide(letter);
    insist(ti_cell_create(scope, letter, sizeof letter, &number, &demo.letter_cell) == TI_OK, "a cell");
    spawn(scope, GRANDCHILD, read_letter);
    /* It stands here while its child has the letter: a body that returned would leave it only the frame's remains. */
    stand_still(truth, letter);
    return NULL;
}

static void *own_inner_scope(void *context)
{
    struct truth *truth = note_self((enum role)(intptr_t)context);
    insist(ti_scope_run("inner", 0, inner_body, truth, NULL, NULL) == TI_OK, "the inner scope");
    return NULL;
}

static void *set_keys(void *context)
{
    struct truth *truth = note_self((enum role)(intptr_t)context);
    volatile int local = 0;
    insist(ti_key_set(&session_key, strdup("a value that its destructor frees")) == TI_OK, "a key");
    insist(ti_key_set(&plain_key, (void *)(uintptr_t)0x5eed) == TI_OK, "a key");
    stand_still(truth, &local);
    return NULL;
}

static void *keep_stray_pointer(void *context)
{
    struct truth *truth = note_self((enum role)(intptr_t)context);
    void *volatile stray = (void *)(uintptr_t)bare(demo.stray_target);
    demo.stray_holder = hide(&stray);
    stand_still(truth, &stray);
    return NULL;
}

static void *keep_old_frame(void *context)
{
    struct truth *truth = note_self((enum role)(intptr_t)context);
    void *volatile dangling = (void *)(uintptr_t)bare(demo.old_frame);
    demo.old_frame_holder = hide(&dangling);
    stand_still(truth, &dangling);
    return NULL;
}

static void *keep_old_thread(void *context)
{
    struct truth *truth = note_self((enum role)(intptr_t)context);
    while (!atomic_load(&demo.old_thread_is_gone)) {
        ti_yield();
    }
    void *volatile dangling = (void *)(uintptr_t)bare(demo.old_thread);
    demo.old_thread_holder = hide(&dangling);
    stand_still(truth, &dangling);
    return NULL;
}

__attribute__((noinline)) static int recurse(struct truth *truth, int depth)
{
    volatile char room[1024];
    room[0] = (char)depth;
    if (depth == DEPTH) {
        demo.deepest = hide(room);
        stand_still(truth, room);
        return 0;
    }
    return recurse(truth, depth + 1) + room[0];
}

static void *recurse_deeply(void *context)
{
    struct truth *truth = note_self((enum role)(intptr_t)context);
    recurse(truth, 1);
    return NULL;
}

/* Runs on the alternate stack of the thread that raised the signal. */
static void stand_in_handler(int signal_number)
{
    struct truth *truth = &demo.truths[ON_ALTSTACK];
    stack_t alternate;
    volatile int local = signal_number;
    sigaltstack(NULL, &alternate);
    truth->altstack_flags = alternate.ss_flags;
    stand_still(truth, &local);
}

static void *raise_on_altstack(void *context)
{
    note_self((enum role)(intptr_t)context);
    raise(SIGUSR1);
    return NULL;
}

static void *stand_on_own_stack(void *context)
{
    prctl(PR_SET_NAME, names[USER_STACK], 0, 0, 0);
    struct truth *truth = note_self((enum role)(intptr_t)context);
    volatile int local = 0;
    stand_still(truth, &local);
    return NULL;
}

static void *end_at_once(void *context)
{
    volatile int local = 0;
    demo.old_thread = hide(&local);
    demo.old_tid = (uint64_t)syscall(SYS_gettid);
    return context;
}

/* Notes an address of a frame that has returned when anybody looks; deep enough that nothing main does later covers it.
 */
__attribute__((noinline)) static void leave_a_frame_behind(void)
{
    volatile char room[65536];
    room[128] = 1;
    demo.old_frame = hide(&room[128]);
}

static pthread_t start_on_own_stack(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    demo.own_stack_size = 256 * 1024;
    void *stack = mmap(NULL, demo.own_stack_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    insist(stack != MAP_FAILED, "mmap");
    demo.own_stack = hide(stack);
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, stack, demo.own_stack_size);
    insist(pthread_create(&thread, &attributes, stand_on_own_stack, (void *)(intptr_t)USER_STACK) == 0,
           "pthread_create");
    pthread_attr_destroy(&attributes);
    return thread;
}

/* True once the kernel says that the thread sleeps. */
static bool sleeps(uint64_t tid)
{
    char path[64];
    char line[256];
    snprintf(path, sizeof path, "/proc/self/task/%" PRIu64 "/stat", tid);
    FILE *file = fopen(path, "re");
    insist(file != NULL, "/proc/self/task");
    bool read = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    const char *state = read ? strrchr(line, ')') : NULL;
    return state != NULL && state[2] == 'S';
}

static void wait_until_all_stand_still(void)
{
    for (int role = MAIN + 1; role < ROLES; role++) {
        while (!atomic_load(&demo.truths[role].ready) || !sleeps(demo.truths[role].tid)) {
            ti_yield();
        }
    }
}

static void print_range(const char *name, hidden low, hidden high)
{
    printf(",\"%s\":{\"low\":\"%#" PRIx64 "\",\"high\":\"%#" PRIx64 "\",\"size\":%" PRIu64 "}", name, bare(low),
           bare(high), bare(high) - bare(low));
}

static void print_altstack(const struct truth *truth)
{
    if ((truth->altstack_flags & SS_DISABLE) != 0) {
        printf(",\"sigaltstack\":{\"state\":\"disabled\",\"low\":null,\"high\":null,\"size\":null}");
        return;
    }
    uint64_t low = bare(truth->altstack_low);
    const char *state = (truth->altstack_flags & SS_ONSTACK) != 0 ? "onstack" : "enabled";
    printf(",\"sigaltstack\":{\"state\":\"%s\",\"low\":\"%#" PRIx64 "\",\"high\":\"%#" PRIx64 "\",\"size\":%" PRIu64
           "}",
           state, low, low + truth->altstack_size, truth->altstack_size);
}

static void print_thread(enum role role)
{
    const struct truth *truth = &demo.truths[role];
    printf("%s{\"tid\":%" PRIu64 ",\"id\":%" PRIu64 ",\"name\":\"%s\",\"state\":\"%s\",\"pthread\":\"%#" PRIx64 "\"",
           role == MAIN ? "" : ",", truth->tid, truth->thread.id, names[role], states[role], bare(truth->pthread));
    print_range("stack", truth->stack_low, truth->stack_high);
    if (role == MAIN || truth->guard_size == 0) {
        printf(",\"guard\":null");
    } else {
        print_range("guard", truth->stack_low + truth->guard_size, truth->stack_low);
    }
    print_altstack(truth);
    printf(",\"local\":\"%#" PRIx64 "\"}", bare(truth->local));
}

static void print_loan(const char *separator, ti_scope scope, enum role lender, enum role borrower, const char *mode,
                       hidden low, uint64_t offset, uint64_t size)
{
    printf("%s{\"scope\":%" PRIu64 ",\"lender_tid\":%" PRIu64 ",\"borrower_tid\":%" PRIu64
           ",\"mode\":\"%s\",\"low\":\"%#" PRIx64 "\",\"high\":\"%#" PRIx64 "\",\"held_at\":\"%#" PRIx64 "\"}",
           separator, scope.id, demo.truths[lender].tid, demo.truths[borrower].tid, mode, bare(low) + offset,
           bare(low) + offset + size, bare(demo.truths[borrower].local));
}

static void print_loans(void)
{
    printf(",\"loans\":[");
    print_loan("", demo.outer, MAIN, FIRST_READER, "shared", demo.ledger, 0, LEDGER * sizeof(int));
    print_loan(",", demo.outer, MAIN, SECOND_READER, "shared", demo.ledger, 0, LEDGER * sizeof(int));
    print_loan(",", demo.outer, MAIN, WRITER, "exclusive", demo.total, 0, sizeof(long));
    print_loan(",", demo.inner, NESTED, GRANDCHILD, "shared", demo.letter, 8, 16);
    printf("]");
}

static void print_scopes(void)
{
    printf(",\"scopes\":[{\"id\":%" PRIu64 ",\"name\":\"outer\",\"owner_tid\":%" PRIu64
           ",\"parent\":null,\"threads\":[",
           demo.outer.id, demo.truths[MAIN].tid);
    const char *separator = "";
    for (int role = MAIN + 1; role < USER_STACK; role++) {
        if (role != GRANDCHILD) {
            printf("%s%" PRIu64, separator, demo.truths[role].tid);
            separator = ",";
        }
    }
    printf("]},{\"id\":%" PRIu64 ",\"name\":\"inner\",\"owner_tid\":%" PRIu64 ",\"parent\":%" PRIu64
           ",\"threads\":[%" PRIu64 "]}]",
           demo.inner.id, demo.truths[NESTED].tid, demo.outer.id, demo.truths[GRANDCHILD].tid);
}

static void print_key(const char *separator, ti_key *key)
{
    printf("%s{\"key\":%" PRIuPTR ",\"name\":\"%s\",\"destructor\":\"%#" PRIxPTR "\",\"tid\":%" PRIu64 "}", separator,
           atomic_load(&key->key), key->name, (uintptr_t)key->destructor, demo.truths[KEYS].tid);
}

static void print_pointers(void)
{
    printf(",\"stray\":{\"from_tid\":%" PRIu64 ",\"at\":\"%#" PRIx64 "\",\"value\":\"%#" PRIx64 "\",\"to_tid\":%" PRIu64
           "}",
           demo.truths[STRAY].tid, bare(demo.stray_holder), bare(demo.stray_target), demo.truths[MAIN].tid);
    printf(",\"dangling\":[{\"kind\":\"frame\",\"from_tid\":%" PRIu64 ",\"at\":\"%#" PRIx64 "\",\"value\":\"%#" PRIx64
           "\",\"to_tid\":%" PRIu64 "}",
           demo.truths[DANGLING_FRAME].tid, bare(demo.old_frame_holder), bare(demo.old_frame), demo.truths[MAIN].tid);
    printf(",{\"kind\":\"thread\",\"from_tid\":%" PRIu64 ",\"at\":\"%#" PRIx64 "\",\"value\":\"%#" PRIx64
           "\",\"to_tid\":null,\"gone_tid\":%" PRIu64 "}]",
           demo.truths[DANGLING_THREAD].tid, bare(demo.old_thread_holder), bare(demo.old_thread), demo.old_tid);
}

static void print_truth(void)
{
    printf("{\"program\":\"tinspect demo\",\"pid\":%d,\"registry\":\"%#" PRIx64 "\",\"threads\":[", getpid(),
           ti_registry_v1.address);
    for (int role = MAIN; role < ROLES; role++) {
        print_thread((enum role)role);
    }
    printf("]");
    print_scopes();
    print_loans();
    printf(",\"locks\":[{\"name\":\"ledger lock\",\"kind\":\"mutex\",\"address\":\"%#" PRIxPTR
           "\",\"owner_tid\":%" PRIu64 ",\"waiters\":[%" PRIu64 "]}]",
           (uintptr_t)&mutex, demo.truths[HOLDER].tid, demo.truths[BLOCKED].tid);
    printf(",\"keys\":[");
    print_key("", &session_key);
    print_key(",", &plain_key);
    printf("]");
    print_pointers();
    printf(",\"recursion\":{\"tid\":%" PRIu64 ",\"depth\":%d,\"deepest\":\"%#" PRIx64 "\"}", demo.truths[RECURSION].tid,
           DEPTH, bare(demo.deepest));
    printf(",\"own_stack\":{\"tid\":%" PRIu64 ",\"low\":\"%#" PRIx64 "\",\"size\":%" PRIu64 "}",
           demo.truths[USER_STACK].tid, bare(demo.own_stack), demo.own_stack_size);
    printf("}\n");
    fflush(stdout);
}

static void release_all(void)
{
    atomic_store(&demo.released, true);
    for (int role = MAIN + 1; role < ROLES; role++) {
        ti_unpark(demo.truths[role].thread);
    }
}

static void *outer_body(ti_scope scope, void *context)
{
    int ledger[LEDGER] = {0};
    long total = 0;
    volatile long stray_target = 7;
    demo.outer = scope;
    demo.ledger = hide(ledger);
    demo.total = hide(&total);
    demo.stray_target = hide(&stray_target);
    demo.truths[MAIN].local = hide(&total);
    insist(ti_cell_create(scope, ledger, sizeof ledger, &number, &demo.ledger_cell) == TI_OK, "a cell");
    insist(ti_cell_create(scope, &total, sizeof total, &number, &demo.total_cell) == TI_OK, "a cell");
    spawn(scope, FIRST_READER, read_ledger);
    spawn(scope, SECOND_READER, read_ledger);
    spawn(scope, WRITER, write_total);
    spawn(scope, HOLDER, hold_mutex);
    spawn(scope, BLOCKED, block_on_mutex);
    spawn(scope, NESTED, own_inner_scope);
    spawn(scope, KEYS, set_keys);
    spawn(scope, STRAY, keep_stray_pointer);
    spawn(scope, DANGLING_FRAME, keep_old_frame);
    spawn(scope, DANGLING_THREAD, keep_old_thread);
    spawn(scope, RECURSION, recurse_deeply);
    spawn(scope, ON_ALTSTACK, raise_on_altstack);
    /* The last one to start, so that nobody lives on its stack again. */
    while (!atomic_load(&demo.truths[GRANDCHILD].ready)) {
        ti_yield();
    }
    ti_thread gone;
    insist(ti_spawn((ti_scope){0}, NULL, end_at_once, NULL, &gone) == TI_OK, "spawning");
    insist(ti_join(gone, NULL, NULL) == TI_OK, "joining");
    atomic_store(&demo.old_thread_is_gone, true);
    wait_until_all_stand_still();
    print_truth();
    while (getchar() != EOF) {
    }
    release_all();
    return context;
}

int main(void)
{
    struct sigaction action = {.sa_handler = stand_in_handler, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    ti_overflow_install();
    ti_set_thread_name(names[MAIN], 0);
    insist(ti_mutex_init(&mutex, "ledger lock") == TI_OK, "naming a lock");
    leave_a_frame_behind();
    note_self(MAIN);
    pthread_t on_own_stack = start_on_own_stack();
    insist(ti_scope_run("outer", 0, outer_body, NULL, NULL, NULL) == TI_OK, "the outer scope");
    pthread_join(on_own_stack, NULL);
    return 0;
}
