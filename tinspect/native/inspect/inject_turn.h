/* One stopped thread's detour through sigaltstack(): sent off, waited for at two stops, brought back. */
#ifndef TI_INJECT_TURN_H
#define TI_INJECT_TURN_H

#include "inject_check.h"
#include "inject_memory.h"
#include "threads.h"

/* What all turns of a run share. It is locked in memory: we must not wait for a page while a thread is on its detour.
 */
struct ti_turn_tools {
    pid_t pid;
    const struct ti_gadgets *gadgets;
    struct ti_inject_memory memory;
    struct ti_xsave xsave; /* of the thread that is being sent off */
    struct ti_image image; /* likewise */
};

enum ti_turn_stage { TI_TURN_OVER, TI_TURN_ENTERING, TI_TURN_LEAVING };

struct ti_turn {
    enum ti_turn_stage stage;
    struct ti_inject_request *request; /* its answer or reason is there when the turn is over */
    struct ti_thread *thread;          /* stopped; NULL when the thread has ended */
    struct user_regs_struct registers; /* its own */
    uint64_t blocked_signals;          /* its own */
    bool framed;                       /* a frame, not a chain */
    uint64_t image_address, answer;
    size_t image_size;
    uint8_t overwritten[TI_IMAGE_BYTES];
};

/* Sends the thread off, or finds a reason not to. */
void ti_turn_begin(struct ti_turn *turn, struct ti_turn_tools *tools);
/* Looks, without waiting, whether the thread has come to its next stop, and goes on from there. True if something
 * happened. */
bool ti_turn_advance(struct ti_turn *turn, struct ti_turn_tools *tools);
/*
 * Gives up waiting for a thread that gets no CPU. It needs nobody to find its way back, so hands off: the end of our
 * own thread lets go of it.
 */
void ti_turn_abandon(struct ti_turn *turn);

#endif
