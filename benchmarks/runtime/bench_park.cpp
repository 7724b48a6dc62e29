// The nearest thing that C++ has to parking: a binary semaphore for each of two threads.
#include <semaphore>
#include <thread>

#include "measure.h"

static void round_trips(long operations)
{
    std::binary_semaphore here(0);
    std::binary_semaphore there(0);
    std::jthread other([&] {
        for (long i = 0; i < operations; i++) {
            there.acquire();
            here.release();
        }
    });
    for (long i = 0; i < operations; i++) {
        there.release();
        here.acquire();
    }
}

int main()
{
    measure("park_round_trip/c++", round_trips, 5000);
}
