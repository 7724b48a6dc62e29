// The example of RFC 3151 with two threads: each borrows what lies in main's frame, and then sleeps.
use std::io::Read;
use std::sync::Barrier;
use std::thread;

#[inline(never)]
fn hold(var: &Vec<u64>, met: &Barrier) {
    met.wait();
    thread::park();
    unsafe { std::ptr::read_volatile(&var) }; // the compiler must keep it until here
}

fn main() {
    let var = vec![1u64, 2, 3];
    let met = Barrier::new(3);
    thread::scope(|s| {
        s.spawn(|| hold(&var, &met));
        s.spawn(|| hold(&var, &met));
        met.wait();
        println!("ready");
        std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
        std::process::exit(0);
    });
}
