/* Runs a job in a thread of its own, which is the tracer of whatever the job stops, and its end the sure release. */
#ifndef TI_WORKER_H
#define TI_WORKER_H

#include <stdatomic.h>
#include <sys/types.h>

typedef int ti_worker_job(void *context, const atomic_bool *cancelled);
/* Called on the caller's thread every few milliseconds; nonzero asks the job to give up. */
typedef int ti_worker_attend(void *context);

/*
 * Runs `job` to its end and returns what it returned, or ECANCELED after `attend` asked it to give up, or EAGAIN when
 * no thread could be made. `target` is the process that the job stops: should the job hang with it in an execve, this
 * thread ends that (reap.h). When it returns, the job's thread traces nothing any more.
 */
int ti_worker_run(pid_t target, ti_worker_job *job, void *job_context, ti_worker_attend *attend, void *attend_context);

#endif
