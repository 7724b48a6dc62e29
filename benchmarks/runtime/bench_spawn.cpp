// Spawning and joining with std::jthread.
#include <thread>
#include <vector>

#include "measure.h"

static void jthreads(long operations, int children)
{
    for (long i = 0; i < operations; i++) {
        std::vector<std::jthread> threads;
        threads.reserve(static_cast<size_t>(children));
        for (int child = 0; child < children; child++) {
            threads.emplace_back([] {});
        }
    }
}

static void one(long operations)
{
    for (long i = 0; i < operations; i++) {
        std::jthread thread([] {});
        thread.join();
    }
}

static void scope_1(long operations)
{
    jthreads(operations, 1);
}

static void scope_8(long operations)
{
    jthreads(operations, 8);
}

int main()
{
    measure("spawn_join/c++", one, 5000);
    measure("scope_1/c++", scope_1, 5000);
    measure("scope_8/c++", scope_8, 1000);
}
