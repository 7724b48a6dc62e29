//! Lock and unlock: alone, and between two threads.
use std::hint::black_box;
use std::sync::{Mutex, RwLock};

#[path = "measure.rs"]
mod measure;
use measure::measure;

fn main() {
    const ALONE: u64 = 200_000;
    const CONTENDED: u64 = 100_000;
    let mutex = Mutex::new(0u64);
    let rwlock = RwLock::new(0u64);
    measure("lock_uncontended/rust", ALONE, |n| {
        for _ in 0..n {
            *black_box(&mutex).lock().unwrap() += 1;
        }
    });
    measure("rwlock_read_uncontended/rust", ALONE, |n| {
        for _ in 0..n {
            black_box(*black_box(&rwlock).read().unwrap());
        }
    });
    measure("rwlock_write_uncontended/rust", ALONE, |n| {
        for _ in 0..n {
            *black_box(&rwlock).write().unwrap() += 1;
        }
    });
    measure("lock_contended/rust", CONTENDED, |n| {
        let half = || {
            for _ in 0..n / 2 {
                *black_box(&mutex).lock().unwrap() += 1;
            }
        };
        std::thread::scope(|s| {
            s.spawn(half);
            half();
        });
    });
}
