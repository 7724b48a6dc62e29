// Scoped threads that borrow a local of main: each prints "worker-N TID" and sleeps in pause; then "ready".
use std::sync::Barrier;
use std::thread;

extern "C" {
    fn pause() -> i32;
    fn gettid() -> i32;
}

#[inline(never)]
fn use_borrowed(number: usize, shared: &[u64; 4], barrier: &Barrier) -> u64 {
    println!("worker-{} {}", number, unsafe { gettid() });
    barrier.wait();
    loop {
        unsafe { pause() };
        if shared[0] == 7 {
            return shared[number];
        }
    }
}

fn main() {
    let shared = [1, 2, 3, 4];
    let barrier = Barrier::new(4);
    thread::scope(|scope| {
        for number in 0..3 {
            let (shared, barrier) = (&shared, &barrier);
            scope.spawn(move || use_borrowed(number, shared, barrier).wrapping_add(1)); // no tail call: the closure keeps its frame
        }
        barrier.wait();
        println!("ready");
        loop {
            unsafe { pause() };
        }
    });
}
