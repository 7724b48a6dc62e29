/* The target of the pause benchmark: N threads that wait, as most threads of most programs do. Prints its pid when all
 * wait. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_barrier_t ready;

static void *wait_forever(void *unused)
{
    pthread_barrier_wait(&ready);
    pause();
    return unused;
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 10;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 * 1024);
    pthread_barrier_init(&ready, NULL, (unsigned)count + 1);
    for (int index = 0; index < count; index++) {
        pthread_t thread;
        if (pthread_create(&thread, &attributes, wait_forever, NULL) != 0) {
            fprintf(stderr, "only %d threads could be made\n", index);
            return 1;
        }
    }
    pthread_barrier_wait(&ready);
    printf("%d\n", getpid());
    fflush(stdout);
    getchar(); /* ends with its parent */
    return 0;
}
