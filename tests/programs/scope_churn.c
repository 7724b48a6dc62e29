/* Scopes that begin and end without a pause, or that a fork tears apart. usage: scope_churn churn | fork
 *
 * churn: three threads run scope after scope with children, loans, named locks and renamed threads; a line on stdin
 * makes the program abort in the middle of it. It says {"pid": N} when it runs. fork:  the main thread forks inside its
 * scope while a child thread owns another one. Says {"pid": N, "child": N}. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
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
    pid_t child = fork();
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
    return context;
}

int main(int count, char **arguments)
{
    if (count == 2 && strcmp(arguments[1], "churn") == 0) {
        run_churn();
    } else if (count == 2 && strcmp(arguments[1], "fork") == 0) {
        insist(ti_scope_run("forking", 0, fork_body, NULL, NULL, NULL));
    } else {
        return 64;
    }
    return 0;
}
