/*
 * Memory that only words of a thread lead to. "thread TID NAME OFFSET" for each name: what lies at the thread pointer +
 * OFFSET; "chain ADDRESS ..." the nodes of a list; "inner ADDRESS", "word ADDRESS" (a futex) and "untouched ADDRESS";
 * then "ready". Every line it hears is answered by "resident N": the pages of the untouched range that are there.
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <sys/mman.h>

#include "truth.h"

enum { PAGE = 4096 };

struct node {
    struct node *next;
    unsigned long mark;
};

struct block {
    unsigned long filling;
    void *inner;
};

static __thread void *table[3];
static __thread struct node *chain, *loop, *broken;
static char *untouched;
static unsigned word[16];

static void tell(const char *name, const void *variable)
{
    unsigned long self = (unsigned long)pthread_self(); /* the thread pointer on x86-64: word 0 of the descriptor */
    say("thread %d %s %ld", own_tid(), name, (long)((unsigned long)variable - self));
}

static void fill(void)
{
    static struct block first, second;
    static struct node nodes[3], ring[2], last;
    char *inner = malloc(64);
    memset(inner, 'i', 64);
    first.inner = inner;
    second.inner = (void *)-1L;
    table[0] = &first;
    table[2] = &second;
    for (int index = 0; index < 3; index++) {
        nodes[index] = (struct node){index < 2 ? &nodes[index + 1] : NULL, 0x1111UL * (unsigned)(index + 1)};
    }
    ring[0].next = &ring[1];
    ring[1].next = &ring[0];
    last.next = (struct node *)PAGE; /* nothing is ever mapped there */
    chain = &nodes[0];
    loop = &ring[0];
    broken = &last;
    say("chain %p %p %p", (void *)&nodes[0], (void *)&nodes[1], (void *)&nodes[2]);
    say("inner %p", (void *)inner);
}

static void *wait_far(void *unused)
{
    fill();
    tell("table", table);
    tell("chain", &chain);
    tell("loop", &loop);
    tell("broken", &broken);
    say("word %p", (void *)word);
    say("ready");
    for (;;) {
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    }
    return unused;
}

static void *wait_untouched(void *unused)
{
    for (;;) {
        syscall(SYS_ppoll, untouched, 0, NULL, NULL, 0); /* its first argument; none of its entries is read */
    }
    return unused;
}

int main(void)
{
    unsigned char there = 0;
    untouched = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    expect(untouched != MAP_FAILED, "mmap");
    say("untouched %p", (void *)untouched);
    memset(word, 'w', sizeof word);
    word[0] = 0;
    start(wait_untouched, NULL);
    start(wait_far, NULL);
    while (*hear()) {
        expect(mincore(untouched, PAGE, &there) == 0, "mincore");
        say("resident %d", there & 1);
    }
    return 0;
}
