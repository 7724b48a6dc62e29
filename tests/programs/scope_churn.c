/* Scopes that begin and end without a pause, or that a fork tears apart. usage: scope_churn churn | rename | fork |
 * inherit | ends
 *
 * churn: three threads run scope after scope with children, loans, named locks and renamed threads; a line on stdin
 * makes the program abort in the middle of it. It says {"pid": N} when it runs. rename: three threads give
 * themselves one name after the other: K times the letter number K. Says {"pid": N}. fork: the main thread forks
 * inside its scope while a child thread owns another one. Says {"pid": N, "child": N}. inherit: the same, but the
 * runtime isn't told of the fork. ends: one thread ends as it should and is not joined, one behind the runtime's back.
 * Says {"pid": N, "ended": N, "lost": N}. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tinspect/runtime.h"

static const ti_type number = {.size = sizeof number, .name = "number", .flags = TI_TYPE_SEND | TI_TYPE_SYNC};

static void insist(ti_status status)
{
    if (status != TI_OK) {
        fprintf(stderr, "scope_churn: %s\n", ti_status_text(status));
        _exit(2);
    }
}

static void *borrow(void *context)
{
    ti_loan loan;
    const void *data;
    insist(ti_cell_borrow(*(ti_cell *)context, 0, 0, &loan, &data, NULL));
    insist(ti_set_thread_name("borrower with a name longer than the system keeps", 0));
    insist(ti_loan_end(loan));
    return NULL;
}

static void *churn_body(ti_scope scope, void *context)
{
    long lent[8] = {0};
    ti_cell cell;
    ti_mutex mutex = TI_MUTEX_INIT;
    (void)context;
    insist(ti_mutex_init(&mutex, "a lock of one scope"));
    insist(ti_cell_create(scope, lent, sizeof lent, &number, &cell));
    for (int i = 0; i < 3; i++) {
        insist(ti_spawn(scope, NULL, borrow, &cell, NULL));
    }
    insist(ti_lock(&mutex));
    insist(ti_unlock(&mutex));
    insist(ti_mutex_destroy(&mutex));
    ti_thread last;
    insist(ti_spawn(scope, NULL, borrow, &cell, &last));
    insist(ti_join(last, NULL, NULL));
    /* `lent` and `cell` are used until the last child has ended. */
    ti_scope_info info = {.size = sizeof info};
    do {
        ti_yield();
        insist(ti_scope_describe(scope, &info));
    } while (info.running != 0);
    return NULL;
}

static void *churn(void *context)
{
    for (;;) {
        insist(ti_scope_run("churn", 0, churn_body, NULL, NULL, NULL));
    }
    return context;
}

static void run_churn(void)
{
    for (int i = 0; i < 3; i++) {
        insist(ti_spawn((ti_scope){0}, NULL, churn, NULL, NULL));
    }
    printf("{\"pid\": %d}\n", getpid());
    fflush(stdout);
    if (getchar() != EOF) {
        abort();
    }
}

enum { LETTERS = 26 };

static void *rename_itself(void *context)
{
    for (unsigned int i = 0;; i++) {
        char name[LETTERS];
        size_t length = 1 + i % LETTERS;
        memset(name, 'A' + (int)length - 1, length);
        insist(ti_set_thread_name(name, length));
    }
    return context;
}

static void run_rename(void)
{
    for (int i = 0; i < 3; i++) {
        insist(ti_spawn((ti_scope){0}, NULL, rename_itself, NULL, NULL));
    }
    printf("{\"pid\": %d}\n", getpid());
    fflush(stdout);
    while (getchar() != EOF) {
    }
}

static _Atomic pid_t ended, lost;

static void *end_by_returning(void *context)
{
    atomic_store(&ended, (pid_t)syscall(SYS_gettid));
    return context;
}

static void *end_unseen(void *context)
{
    atomic_store(&lost, (pid_t)syscall(SYS_gettid));
    syscall(SYS_exit, 0);
    return context;
}

static void await_end(const _Atomic pid_t *tid)
{
    while (atomic_load(tid) == 0 || syscall(SYS_tgkill, getpid(), atomic_load(tid), 0) == 0) {
        ti_yield();
    }
}

static void run_ends(void)
{
    ti_thread kept, unseen;
    insist(ti_spawn((ti_scope){0}, NULL, end_by_returning, NULL, &kept));
    insist(ti_spawn((ti_scope){0}, NULL, end_unseen, NULL, &unseen));
    await_end(&ended);
    await_end(&lost);
    printf("{\"pid\": %d, \"ended\": %d, \"lost\": %d}\n", getpid(), atomic_load(&ended), atomic_load(&lost));
    fflush(stdout);
    while (getchar() != EOF) {
    }
    _exit(0);
}

static _Atomic bool stands;

static void *wait_in_scope(ti_scope scope, void *context)
{
    (void)scope;
    atomic_store(&stands, true);
    ti_park();
    return context;
}

static void *own_a_scope(void *context)
{
    insist(ti_scope_run("lost with its owner", 0, wait_in_scope, NULL, NULL, NULL));
    return context;
}

static void *fork_body(ti_scope scope, void *context)
{
    ti_thread owner;
    insist(ti_spawn(scope, NULL, own_a_scope, NULL, &owner));
    while (!atomic_load(&stands)) {
        ti_yield();
    }
    pid_t parent = getpid();
    pid_t child = context != NULL ? (pid_t)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0) : fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) {
            _exit(0);
        }
        for (;;) {
            pause();
        }
    }
    printf("{\"pid\": %d, \"child\": %d}\n", parent, child);
    fflush(stdout);
    while (getchar() != EOF) {
    }
    kill(child, SIGKILL);
    insist(ti_unpark(owner));
    return NULL;
}

int main(int count, char **arguments)
{
    if (count == 2 && strcmp(arguments[1], "churn") == 0) {
        run_churn();
    } else if (count == 2 && strcmp(arguments[1], "fork") == 0) {
        insist(ti_scope_run("forking", 0, fork_body, NULL, NULL, NULL));
    } else if (count == 2 && strcmp(arguments[1], "inherit") == 0) {
        insist(ti_scope_run("forking", 0, fork_body, "untold", NULL, NULL));
    } else if (count == 2 && strcmp(arguments[1], "rename") == 0) {
        run_rename();
    } else if (count == 2 && strcmp(arguments[1], "ends") == 0) {
        run_ends();
    } else {
        return 64;
    }
    return 0;
}
