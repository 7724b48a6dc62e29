// Lock and unlock with std::mutex: alone, and between two threads.
#include <condition_variable>
#include <mutex>
#include <thread>

#include "measure.h"

static std::mutex mutex;
static volatile long shared;

static void lock_loop(long operations)
{
    for (long i = 0; i < operations; i++) {
        std::lock_guard guard(mutex);
        shared = shared + 1;
    }
}

static void in_two_threads(long operations)
{
    std::jthread other(lock_loop, operations / 2);
    lock_loop(operations / 2);
}

int main()
{
    // glibc leaves out the atomic instructions while a process has one thread; a second, idle one makes it fair.
    std::condition_variable_any over;
    std::mutex waiting;
    std::jthread idle([&](std::stop_token stop) {
        std::unique_lock lock(waiting);
        over.wait(lock, stop, [] { return false; });
    });
    measure("lock_uncontended/c++", lock_loop, 200000);
    measure("lock_contended/c++", in_two_threads, 100000);
}
