//! Spawning and joining with Rust's std: one thread, scopes of one and of eight.
use std::thread;

#[path = "measure.rs"]
mod measure;
use measure::measure;

fn scopes(operations: u64, children: u64) {
    for _ in 0..operations {
        thread::scope(|s| {
            for _ in 0..children {
                s.spawn(|| {});
            }
        });
    }
}

fn main() {
    measure("spawn_join/rust", 5000, |n| {
        for _ in 0..n {
            thread::spawn(|| {}).join().unwrap();
        }
    });
    measure("scope_1/rust", 5000, |n| scopes(n, 1));
    measure("scope_8/rust", 1000, |n| scopes(n, 8));
}
