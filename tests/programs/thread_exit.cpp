// thread_local objects with destructors in the executable, in two threads and the main one, and a library (its path is
// the argument) whose thread-locals live in dynamic blocks. "ready" when every thread has touched all of them.
#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <thread>

namespace {

struct Witness {
    std::string name = std::string(100, 'w');
    ~Witness() { name.clear(); }
};

thread_local Witness first;
thread_local Witness second;
int *(*opened_counter)();
pthread_barrier_t touched;

void touch()
{
    first.name += second.name;
    *opened_counter() = static_cast<int>(first.name.size());
    pthread_barrier_wait(&touched);
}

[[noreturn]] void wait_for_ever()
{
    for (;;) {
        pause();
    }
}

void stay()
{
    touch();
    wait_for_ever();
}

} // namespace

int main(int count, char **arguments)
{
    pthread_barrier_init(&touched, nullptr, 3);
    void *library = count > 1 ? dlopen(arguments[1], RTLD_NOW) : nullptr;
    if (!library) {
        return 1;
    }
    opened_counter = reinterpret_cast<int *(*)()>(dlsym(library, "opened_counter_address"));
    std::thread(stay).detach();
    std::thread(stay).detach();
    touch();
    std::puts("ready");
    std::fflush(stdout);
    wait_for_ever();
}
