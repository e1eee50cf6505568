//! Processes that the emulated cloud starts, and that never outlive it.

use std::env;
use std::fs;
use std::io;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// Waits for the end of its input, then kills the group whose leader is `$0`, and the leader's children.
const WATCH: &str = r#"
    read -r _
    children=$(cat /proc/"$0"/task/*/children 2>/dev/null)
    kill -s KILL -- -"$0" $children 2>/dev/null
"#;

/// A process group that ends when this value does, even if the whole test run is killed outright.
///
/// `Drop` does not run in a process that is killed. A shell therefore waits on a pipe that only we hold: whichever
/// way we end, the pipe closes, and the shell kills the group. It also kills the leader's children, because the
/// runtime interface emulator puts the function into a group of its own.
pub struct Tethered {
    pub child: Child,
    watch: Child,
}

impl Tethered {
    /// Starts the command in a process group of its own.
    pub fn start(command: &mut Command) -> io::Result<Tethered> {
        let child = command.process_group(0).spawn()?;
        let watch = Command::new("sh")
            .args(["-c", WATCH, &child.id().to_string()])
            .process_group(0)
            .stdin(Stdio::piped())
            .spawn()?;
        Ok(Tethered { child, watch })
    }
}

impl Drop for Tethered {
    fn drop(&mut self) {
        drop(self.watch.stdin.take());
        // Both are waited for, so that neither stays as a zombie; errors mean that they are gone already.
        let _ = self.watch.wait();
        let _ = self.child.wait();
    }
}

/// The path of a file in the Python environment that holds moto and the runtime interface emulator.
///
/// `make` creates it from `requirements.txt` and says where in `QUELL_VENV`.
pub fn in_venv(file: &str) -> PathBuf {
    let venv = env::var_os("QUELL_VENV").map_or_else(|| cache().join("quell/venv"), PathBuf::from);
    let path = venv.join(file);
    assert!(
        path.exists(),
        "{} is missing: create the environment first (see tests/cloud/requirements.txt)",
        path.display()
    );
    path
}

/// The path of a file that a Python package of that environment brings.
pub fn in_package(file: &str) -> PathBuf {
    let versions = fs::read_dir(in_venv("lib")).expect("the environment can be read").flatten();
    let mut paths = versions.map(|python| python.path().join("site-packages").join(file));
    paths.find(|path| path.exists()).unwrap_or_else(|| panic!("no package of the environment brings {file}"))
}

fn cache() -> PathBuf {
    env::var_os("XDG_CACHE_HOME")
        .map_or_else(|| PathBuf::from(env::var_os("HOME").expect("HOME is set")).join(".cache"), PathBuf::from)
}

/// A port that nobody listens on at this moment; another process may take it before the caller does.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("the loopback interface has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}
