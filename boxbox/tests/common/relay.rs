//! [`Relay`]: a TCP port of this machine that leads to another one, or to nothing.

use std::io;
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// How often a relay looks for connections.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// While it lives, connections to its port are passed on; after that the port is closed, and so are they.
pub struct Relay {
    ended: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
    accepting: Option<JoinHandle<()>>,
}

impl Relay {
    /// From `port` to the address `to`.
    pub fn start(port: u16, to: &str) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let (ended, open, to) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(vec![])), to.to_owned());
        let (end, keep) = (ended.clone(), open.clone());
        let accepting = std::thread::spawn(move || {
            while !end.load(Ordering::SeqCst) {
                match listener.accept() {
                    Ok((near, _)) => {
                        near.set_nonblocking(false).unwrap();
                        // Where nothing listens, the way ends here.
                        let Ok(far) = TcpStream::connect(&to) else { continue };
                        for (from, to) in [(&near, &far), (&far, &near)] {
                            let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
                            std::thread::spawn(move || {
                                let _ = io::copy(&mut from, &mut to);
                                let _ = to.shutdown(Shutdown::Both);
                            });
                        }
                        keep.lock().unwrap().extend([near, far]);
                    }
                    Err(_) => std::thread::sleep(LOOK_EVERY),
                }
            }
        });
        Self { ended, open, accepting: Some(accepting) }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
