// Threads of std::thread::scope that borrow a local of their owner; says "ready", and panics in a thread at a line on stdin.
use std::io::{stdin, BufRead, Write};
use std::sync::Barrier;
use std::thread;

fn main() {
    let lent = [7u64; 4];
    let told = Barrier::new(3);
    thread::scope(|scope| {
        for index in 0..2 {
            let (lent, told) = (&lent, &told);
            thread::Builder::new()
                .name(format!("worker {index}"))
                .spawn_scoped(scope, move || {
                    println!("worker {:p}", lent);
                    told.wait();
                    loop {
                        thread::park();
                    }
                })
                .unwrap();
        }
        told.wait();
        println!("ready");
        std::io::stdout().flush().unwrap();
        let mut line = String::new();
        stdin().lock().read_line(&mut line).unwrap();
        std::process::abort();
    });
}
