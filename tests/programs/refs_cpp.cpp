// Threads, a pool and futures of the C++ standard library, none of which points into another's stack.
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <functional>
#include <future>
#include <iostream>
#include <mutex>
#include <thread>
#include <vector>

class Pool
{
  public:
    explicit Pool(int count)
    {
        for (int index = 0; index < count; index++) {
            threads.emplace_back([this] { run(); });
        }
    }

    void add(std::function<void()> job)
    {
        {
            std::lock_guard<std::mutex> held(lock);
            jobs.push_back(std::move(job));
        }
        changed.notify_one();
    }

  private:
    void run()
    {
        for (;;) {
            std::unique_lock<std::mutex> held(lock);
            changed.wait(held, [this] { return !jobs.empty(); });
            auto job = std::move(jobs.front());
            jobs.pop_front();
            held.unlock();
            job();
        }
    }

    std::mutex lock;
    std::condition_variable changed;
    std::deque<std::function<void()>> jobs;
    std::vector<std::thread> threads;
};

int main()
{
    auto *pool = new Pool(3);
    auto *never = new std::promise<void>;
    static std::shared_future<void> waited_for(never->get_future());
    std::vector<std::future<int>> results;
    for (int index = 0; index < 8; index++) {
        results.push_back(std::async(std::launch::async, [index] { return index * 2; }));
    }
    int sum = 0;
    for (auto &result : results) {
        sum += result.get();
    }
    static std::promise<void> ran;
    static auto waiting = std::async(std::launch::async, [] { waited_for.wait(); });
    std::thread([] { std::this_thread::sleep_for(std::chrono::hours(10)); }).detach();
    pool->add([] { ran.set_value(); });
    ran.get_future().wait();
    std::cout << "ready " << sum << std::endl;
    std::string line;
    std::getline(std::cin, line);
    std::_Exit(0);
}
