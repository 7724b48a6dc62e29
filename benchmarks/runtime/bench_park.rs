//! Park and unpark between two threads: one operation is there and back again.
use std::thread;

#[path = "measure.rs"]
mod measure;
use measure::measure;

fn main() {
    measure("park_round_trip/rust", 5_000, |n| {
        let main = thread::current();
        let other = thread::spawn(move || {
            for _ in 0..n {
                thread::park();
                main.unpark();
            }
        });
        for _ in 0..n {
            other.thread().unpark();
            thread::park();
        }
        other.join().unwrap();
    });
    measure("park_token_there/rust", 100_000, |n| {
        let main = thread::current();
        for _ in 0..n {
            main.unpark();
            thread::park();
        }
    });
}
