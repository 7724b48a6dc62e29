//! Reading a thread-local value.
use std::cell::Cell;
use std::hint::black_box;

#[path = "measure.rs"]
mod measure;
use measure::measure;

struct Dropped(Cell<u64>);
impl Drop for Dropped {
    fn drop(&mut self) {
        black_box(&self.0);
    }
}

thread_local! {
    static LAZY: Dropped = Dropped(Cell::new(black_box(1)));
    static CONSTANT: Cell<u64> = const { Cell::new(1) };
}

fn main() {
    const OPERATIONS: u64 = 1_000_000;
    measure("local_get/rust", OPERATIONS, |n| {
        for _ in 0..n {
            LAZY.with(|value| black_box(value.0.get()));
        }
    });
    measure("local_get_constant/rust", OPERATIONS, |n| {
        for _ in 0..n {
            CONSTANT.with(|value| black_box(value.get()));
        }
    });
}
