// usage: waiting_threads COUNT. That many threads wait on a condition variable at the end of a few calls; prints
// "ready", and waits.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t never = PTHREAD_COND_INITIALIZER, changed = PTHREAD_COND_INITIALIZER;
static int waiting;

static __attribute__((noinline)) int wait_for_work(int depth)
{
    if (depth > 0) {
        return wait_for_work(depth - 1) + depth;
    }
    waiting++;
    pthread_cond_signal(&changed);
    return pthread_cond_wait(&never, &mutex);
}
static void *worker(void *argument)
{
    pthread_mutex_lock(&mutex);
    return (void *)(long)wait_for_work((int)(long)argument);
}
int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 10;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 * 1024);
    for (int i = 0; i < count; i++) {
        pthread_t thread;
        if (pthread_create(&thread, &small, worker, (void *)(long)(i % 4))) {
            return 1;
        }
    }
    pthread_mutex_lock(&mutex);
    while (waiting < count) {
        pthread_cond_wait(&changed, &mutex);
    }
    pthread_mutex_unlock(&mutex);
    puts("ready");
    fflush(stdout);
    pause();
}
