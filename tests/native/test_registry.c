/* The registry as a foreign reader sees it: found by symbol, note and mapping; parsed by its own table of fields, with
 * nothing of the runtime's internal headers. */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bodies.h"

enum {
    KIND_THREAD = 1,
    KIND_SCOPE = 2,
    KIND_LOAN = 3,
    KIND_CELL = 4,
    KIND_LOCK = 5,
    KINDS = 7,
};

/* A reader of another process's registry (or our own: the same calls). */
struct reader {
    pid_t pid;
    uint64_t header;
    unsigned char head[512];
    unsigned char *fields;
    unsigned char *arenas;
};

static bool fetch(pid_t pid, uint64_t address, void *into, size_t size)
{
    struct iovec local = {into, size};
    struct iovec remote = {(void *)(uintptr_t)address, size};
    return process_vm_readv(pid, &local, 1, &remote, 1, 0) == (ssize_t)size;
}

static uint64_t number_at(const unsigned char *bytes, size_t offset, size_t width)
{
    uint64_t value = 0;
    memcpy(&value, bytes + offset, width);
    return value;
}

static void open_registry(struct reader *reader, pid_t pid, uint64_t header)
{
    reader->pid = pid;
    reader->header = header;
    CHECK(fetch(pid, header, reader->head, 144));
    CHECK(memcmp(reader->head, "TINSPREG", 8) == 0);
    CHECK_EQUAL(number_at(reader->head, 8, 4), 0x01020304);
    CHECK_EQUAL(number_at(reader->head, 16, 2), 1);
    size_t fields = number_at(reader->head, 72, 4) * number_at(reader->head, 80, 4);
    size_t arenas = number_at(reader->head, 56, 4) * number_at(reader->head, 64, 4);
    reader->fields = malloc(fields);
    reader->arenas = malloc(arenas);
    CHECK(fetch(pid, header + number_at(reader->head, 76, 4), reader->fields, fields));
    CHECK(fetch(pid, header + number_at(reader->head, 60, 4), reader->arenas, arenas));
}

static void close_registry(struct reader *reader)
{
    free(reader->fields);
    free(reader->arenas);
}

static const unsigned char *find_field(const struct reader *reader, unsigned kind, const char *name)
{
    size_t stride = number_at(reader->head, 80, 4);
    for (size_t i = 0; i < number_at(reader->head, 72, 4); i++) {
        const unsigned char *field = reader->fields + i * stride;
        if (number_at(field, 0, 2) == kind && strncmp((const char *)field + 16, name, 24) == 0) {
            return field;
        }
    }
    fprintf(stderr, "kind %u has no field %s\n", kind, name);
    abort();
}

static uint64_t value_of(const struct reader *reader, unsigned kind, const unsigned char *record, const char *name)
{
    const unsigned char *field = find_field(reader, kind, name);
    size_t width = number_at(field, 8, 4);
    return number_at(record, number_at(field, 4, 4), width > 8 ? 8 : width); /* of a link, the id */
}

static const char *text_of(const struct reader *reader, unsigned kind, const unsigned char *record, const char *name)
{
    static char text[128];
    const unsigned char *field = find_field(reader, kind, name);
    size_t width = number_at(field, 8, 4);
    memcpy(text, record + number_at(field, 4, 4), width);
    text[width] = 0;
    return text;
}

/* Calls `look` on each live record of a kind; how many were torn to the end. */
static int scan(const struct reader *reader, unsigned kind,
                void (*look)(const struct reader *, const unsigned char *, void *), void *context)
{
    int torn = 0;
    unsigned char record[1024];
    size_t stride = number_at(reader->head, 64, 4);
    for (size_t i = 0; i < number_at(reader->head, 56, 4); i++) {
        const unsigned char *arena = reader->arenas + i * stride;
        size_t size = number_at(arena, 12, 4);
        CHECK(size <= sizeof record);
        for (size_t slot = 0; number_at(arena, 0, 4) == kind && slot < number_at(arena, 8, 4); slot++) {
            uint64_t address = number_at(arena, 16, 8) + slot * size;
            bool whole = false;
            for (int attempt = 0; attempt < 20 && !whole; attempt++) {
                uint32_t before;
                uint32_t after;
                CHECK(fetch(reader->pid, address, &before, 4));
                CHECK(fetch(reader->pid, address, record, size));
                CHECK(fetch(reader->pid, address, &after, 4));
                whole = before == after && before % 2 == 0;
            }
            if (!whole) {
                torn++;
            } else if (value_of(reader, kind, record, "id") != 0) {
                look(reader, record, context);
            }
        }
    }
    return torn;
}

static uint64_t own_header(void)
{
    (void)ti_thread_id();
    return ti_registry_v1.address;
}

/* Walks the notes of each loaded file as a reader of a core would. */
static int note_leads_to_anchor(struct dl_phdr_info *info, size_t size, void *context)
{
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
        const unsigned char *at = (const unsigned char *)(info->dlpi_addr + segment->p_vaddr);
        const unsigned char *end = at + (segment->p_type == PT_NOTE ? segment->p_memsz : 0);
        while (at + 12 <= end) {
            size_t name = number_at(at, 0, 4);
            size_t payload = number_at(at, 4, 4);
            const unsigned char *data = at + 12 + (name + 3) / 4 * 4;
            if (name == 9 && memcmp(at + 12, "tinspect", 9) == 0) {
                CHECK_EQUAL(payload, 8);
                CHECK(segment->p_offset + segment->p_filesz <= 4096);
                *(const void **)context = data + (int64_t)number_at(data, 0, 8);
                return 1;
            }
            at = data + (payload + 3) / 4 * 4;
        }
    }
    return 0;
}

static void found_by_symbol_note_and_mapping(void)
{
    uint64_t header = own_header();
    CHECK(memcmp(ti_registry_v1.magic, TI_ANCHOR_MAGIC, 8) == 0);
    const void *anchor = NULL;
    CHECK_EQUAL(dl_iterate_phdr(note_leads_to_anchor, &anchor), 1);
    CHECK(anchor == &ti_registry_v1);
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[512];
    bool found = false;
    while (fgets(line, sizeof line, maps) != NULL) {
        if (strstr(line, " /memfd:tinspect") != NULL && strtoull(line, NULL, 16) == header) {
            CHECK(strstr(line, "rw-p") != NULL);
            found = true;
        }
    }
    fclose(maps);
    CHECK(found);
}

struct expected {
    uint64_t main_id, child_id, scope_id;
    const void *lent;
    bool saw_main, saw_child, saw_scope, saw_loan, saw_cell, saw_lock;
    ti_mutex *mutex;
    _Atomic int ready, let_go;
};

static void look_at_thread(const struct reader *reader, const unsigned char *record, void *context)
{
    struct expected *expected = context;
    uint64_t id = value_of(reader, KIND_THREAD, record, "id");
    if (id == expected->main_id) {
        CHECK_EQUAL(value_of(reader, KIND_THREAD, record, "tid"), getpid());
        CHECK_EQUAL(value_of(reader, KIND_THREAD, record, "flags"), 3);
        CHECK_EQUAL(value_of(reader, KIND_THREAD, record, "inner_scope"), expected->scope_id);
        expected->saw_main = true;
    }
    if (id == expected->child_id) {
        CHECK(strcmp(text_of(reader, KIND_THREAD, record, "name"), "lent to") == 0);
        CHECK_EQUAL(value_of(reader, KIND_THREAD, record, "name_length"), 7);
        CHECK_EQUAL(value_of(reader, KIND_THREAD, record, "parent"), expected->main_id);
        CHECK_EQUAL(value_of(reader, KIND_THREAD, record, "scope"), expected->scope_id);
        CHECK_EQUAL(value_of(reader, KIND_THREAD, record, "state"), 4);
        CHECK_EQUAL(value_of(reader, KIND_THREAD, record, "wait_kind"), 4);
        CHECK(value_of(reader, KIND_THREAD, record, "wait_address") == (uintptr_t)expected->mutex);
        CHECK(value_of(reader, KIND_THREAD, record, "wait_since") <= ti_now());
        expected->saw_child = true;
    }
}

static void look_at_scope(const struct reader *reader, const unsigned char *record, void *context)
{
    struct expected *expected = context;
    CHECK_EQUAL(value_of(reader, KIND_SCOPE, record, "id"), expected->scope_id);
    CHECK_EQUAL(value_of(reader, KIND_SCOPE, record, "owner"), expected->main_id);
    CHECK_EQUAL(value_of(reader, KIND_SCOPE, record, "running"), 1);
    CHECK_EQUAL(value_of(reader, KIND_SCOPE, record, "phase"), 1);
    CHECK(strcmp(text_of(reader, KIND_SCOPE, record, "name"), "seen") == 0);
    expected->saw_scope = true;
}

static void look_at_loan(const struct reader *reader, const unsigned char *record, void *context)
{
    struct expected *expected = context;
    CHECK_EQUAL(value_of(reader, KIND_LOAN, record, "lender"), expected->main_id);
    CHECK_EQUAL(value_of(reader, KIND_LOAN, record, "borrower"), expected->child_id);
    CHECK(value_of(reader, KIND_LOAN, record, "low") == (uintptr_t)expected->lent);
    CHECK(value_of(reader, KIND_LOAN, record, "high") == (uintptr_t)expected->lent + 4);
    CHECK_EQUAL(value_of(reader, KIND_LOAN, record, "exclusive"), 1);
    uint64_t frame = value_of(reader, KIND_LOAN, record, "lender_frame");
    CHECK(frame <= (uintptr_t)expected->lent + 4096 && frame + 4096 > (uintptr_t)__builtin_frame_address(0));
    expected->saw_loan = true;
}

static void look_at_cell(const struct reader *reader, const unsigned char *record, void *context)
{
    struct expected *expected = context;
    CHECK(strcmp(text_of(reader, KIND_CELL, record, "name"), "int") == 0);
    CHECK_EQUAL(value_of(reader, KIND_CELL, record, "type_flags"), 3);
    expected->saw_cell = true;
}

static void look_at_lock(const struct reader *reader, const unsigned char *record, void *context)
{
    struct expected *expected = context;
    CHECK(strcmp(text_of(reader, KIND_LOCK, record, "name"), "held") == 0);
    CHECK(value_of(reader, KIND_LOCK, record, "address") == (uintptr_t)expected->mutex);
    CHECK_EQUAL(value_of(reader, KIND_LOCK, record, "owner"), expected->main_id);
    CHECK_EQUAL(value_of(reader, KIND_LOCK, record, "waiters"), 1);
    expected->saw_lock = true;
}

static void *block(void *context)
{
    struct expected *expected = context;
    atomic_store(&expected->ready, (int)gettid());
    CHECK_EQUAL(ti_lock(expected->mutex), TI_OK);
    CHECK_EQUAL(ti_unlock(expected->mutex), TI_OK);
    return NULL;
}

/* Waits until a thread sleeps in the kernel. */
static void wait_until_asleep(int tid)
{
    char path[64];
    char line[256];
    snprintf(path, sizeof path, "/proc/self/task/%d/stat", tid);
    for (;;) {
        FILE *file = fopen(path, "re");
        bool asleep = file != NULL && fgets(line, sizeof line, file) != NULL && strstr(line, ") S ") != NULL;
        fclose(file);
        if (asleep) {
            return;
        }
        ti_yield();
    }
}

static void *seen_body(ti_scope scope, void *context)
{
    struct expected *expected = context;
    int lent = 0;
    void *data;
    ti_type type = {.size = sizeof type, .name = "int", .flags = TI_TYPE_SEND | TI_TYPE_SYNC};
    ti_cell cell;
    ti_loan loan;
    ti_thread child;
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.name = "lent to";
    expected->lent = &lent;
    expected->scope_id = scope.id;
    CHECK_EQUAL(ti_lock(expected->mutex), TI_OK);
    CHECK_EQUAL(ti_spawn(scope, &options, block, expected, &child), TI_OK);
    expected->child_id = child.id;
    CHECK_EQUAL(ti_cell_create(scope, &lent, sizeof lent, &type, &cell), TI_OK);
    CHECK_EQUAL(ti_cell_borrow_mut(cell, 0, 0, &loan, &data, NULL), TI_OK);
    CHECK_EQUAL(ti_loan_give(loan, child), TI_OK);
    while (atomic_load(&expected->ready) == 0) {
        ti_yield();
    }
    wait_until_asleep(atomic_load(&expected->ready));
    struct reader reader;
    open_registry(&reader, getpid(), own_header());
    CHECK_EQUAL(number_at(reader.head, 24, 4), getpid());
    uint64_t epoch = number_at(reader.head, 48, 8);
    CHECK_EQUAL(scan(&reader, KIND_THREAD, look_at_thread, expected), 0);
    CHECK_EQUAL(scan(&reader, KIND_SCOPE, look_at_scope, expected), 0);
    CHECK_EQUAL(scan(&reader, KIND_LOAN, look_at_loan, expected), 0);
    CHECK_EQUAL(scan(&reader, KIND_CELL, look_at_cell, expected), 0);
    CHECK_EQUAL(scan(&reader, KIND_LOCK, look_at_lock, expected), 0);
    close_registry(&reader);
    open_registry(&reader, getpid(), own_header());
    CHECK(epoch % 2 == 0 && number_at(reader.head, 48, 8) == epoch);
    close_registry(&reader);
    CHECK_EQUAL(ti_unlock(expected->mutex), TI_OK);
    return NULL;
}

static void a_reader_sees_the_tree(void)
{
    ti_mutex mutex = TI_MUTEX_INIT;
    struct expected expected = {.main_id = ti_thread_id(), .mutex = &mutex};
    CHECK_EQUAL(ti_mutex_init(&mutex, "held"), TI_OK);
    CHECK_EQUAL(ti_scope_run("seen", 0, seen_body, &expected, NULL, NULL), TI_OK);
    CHECK(expected.saw_main && expected.saw_child && expected.saw_scope && expected.saw_loan && expected.saw_cell &&
          expected.saw_lock);
    CHECK_EQUAL(ti_mutex_destroy(&mutex), TI_OK);
}

static void *churn_body(ti_scope scope, void *context)
{
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.name = context;
    for (int i = 0; i < 3; i++) {
        CHECK_EQUAL(ti_spawn(scope, &options, nothing, NULL, NULL), TI_OK);
    }
    return NULL;
}

/* Only fit together if they were read as one: the name says the scope's name, and the bounds are in order. */
static void look_for_tears(const struct reader *reader, const unsigned char *record, void *context)
{
    uint64_t low = value_of(reader, KIND_THREAD, record, "stack_low");
    uint64_t high = value_of(reader, KIND_THREAD, record, "stack_high");
    uint64_t length = value_of(reader, KIND_THREAD, record, "name_length");
    const char *name = text_of(reader, KIND_THREAD, record, "name");
    CHECK(low <= high && high - low < (1u << 30));
    CHECK(value_of(reader, KIND_THREAD, record, "generation") != 0);
    CHECK_EQUAL(strlen(name), length);
    CHECK(length == 0 || strcmp(name, "churn") == 0 || strcmp(name, "a longer name of the same churn") == 0);
    (*(long *)context)++;
}

static void churn_for_ever(int ready)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    uint64_t header = own_header();
    CHECK_EQUAL(write(ready, &header, sizeof header), sizeof header);
    for (;;) {
        CHECK_EQUAL(ti_scope_run("one", 0, churn_body, "churn", NULL, NULL), TI_OK);
        CHECK_EQUAL(ti_scope_run("two", 0, churn_body, "a longer name of the same churn", NULL, NULL), TI_OK);
    }
}

/* kill -9 in the middle of anything: what a reader got before is whole, or it knows that it is torn. */
static void a_busy_registry_never_shows_a_torn_record_as_whole(void)
{
    int ends[2];
    CHECK_EQUAL(pipe(ends), 0);
    pid_t child = fork();
    if (child == 0) {
        churn_for_ever(ends[1]);
    }
    uint64_t header = 0;
    CHECK_EQUAL(read(ends[0], &header, sizeof header), sizeof header);
    long seen = 0;
    for (int round = 0; round < 60; round++) {
        struct reader reader;
        open_registry(&reader, child, header);
        CHECK(scan(&reader, KIND_THREAD, look_for_tears, &seen) <= 4);
        close_registry(&reader);
    }
    CHECK(seen >= 60); /* its main thread at least, each time */
    CHECK_EQUAL(kill(child, SIGKILL), 0);
    CHECK_EQUAL(waitpid(child, NULL, 0), child);
}

static void *wait_for_release(void *context)
{
    while (atomic_load((_Atomic int *)context) == 0) {
        ti_yield();
    }
    return NULL;
}

static void look_for_gone(const struct reader *reader, const unsigned char *record, void *context)
{
    *(int *)context += value_of(reader, KIND_THREAD, record, "state") == 8;
}

static void fork_tells_itself_apart(void)
{
    _Atomic int release = 0;
    ti_thread thread;
    CHECK_EQUAL(ti_spawn((ti_scope){0}, NULL, wait_for_release, &release, &thread), TI_OK);
    pid_t child = fork();
    if (child == 0) {
        struct reader reader;
        int gone = 0;
        open_registry(&reader, getpid(), own_header());
        CHECK_EQUAL(number_at(reader.head, 24, 4), getpid());
        CHECK_EQUAL(number_at(reader.head, 28, 4), 1);
        CHECK_EQUAL(scan(&reader, KIND_THREAD, look_for_gone, &gone), 0);
        CHECK_EQUAL(gone, 1);
        _exit(0);
    }
    int status = 0;
    CHECK_EQUAL(waitpid(child, &status, 0), child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    atomic_store(&release, 1);
    CHECK_EQUAL(ti_join(thread, NULL, NULL), TI_OK);
}

static void count_one(const struct reader *reader, const unsigned char *record, void *context)
{
    (void)reader;
    (void)record;
    (*(int *)context)++;
}

/* More threads at once than the first arena has slots. */
static void arenas_grow(void)
{
    _Atomic int release = 0;
    ti_thread threads[200];
    ti_spawn_options options = TI_SPAWN_OPTIONS;
    options.stack_size = 65536;
    for (int i = 0; i < 200; i++) {
        CHECK_EQUAL(ti_spawn((ti_scope){0}, &options, wait_for_release, &release, &threads[i]), TI_OK);
    }
    struct reader reader;
    int alive = 0;
    open_registry(&reader, getpid(), own_header());
    CHECK(number_at(reader.head, 56, 4) > 6);
    scan(&reader, KIND_THREAD, count_one, &alive);
    CHECK(alive >= 195 && alive <= 201);
    close_registry(&reader);
    atomic_store(&release, 1);
    for (int i = 0; i < 200; i++) {
        CHECK_EQUAL(ti_join(threads[i], NULL, NULL), TI_OK);
    }
}

TEST_MAIN(TEST(found_by_symbol_note_and_mapping), TEST(a_reader_sees_the_tree),
          TEST(a_busy_registry_never_shows_a_torn_record_as_whole), TEST(fork_tells_itself_apart), TEST(arenas_grow))
