//! A Lambda Runtime API that runs a real binary as a real process: one invocation at a time per process, a new process after a crash, and SIGKILL
//! at any moment.

mod api;
mod error;
mod log;
mod process;
mod sandbox;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Semaphore;

pub use self::{
    error::InvokeError,
    log::{Line, Log},
};
use self::{process::KillSwitch, sandbox::Sandbox};
use crate::{hook::Hook, proxy::FaultProxy};

/// A function's program and environment.
#[derive(Debug, Clone)]
pub struct Program {
    /// The function's name.
    pub name: String,
    /// The binary.
    pub binary: PathBuf,
    /// Its environment, without the variables that Lambda sets.
    pub env: Vec<(String, String)>,
    /// Maximum number of processes.
    pub sandboxes: usize,
}

/// A function that can be invoked. Clones are handles to the same function; its processes end with the last one.
#[derive(Debug, Clone)]
pub struct Function(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    /// The program of new processes; replaced by each deployment.
    program: Mutex<Arc<Program>>,
    free: Semaphore,
    idle: Mutex<Vec<Sandbox>>,
    running: Running,
    log: Log,
    starts: Mutex<Vec<Duration>>,
}

type Running = Arc<Mutex<BTreeMap<u32, KillSwitch>>>;

impl Function {
    /// Creates a function. Processes are started on demand.
    #[must_use]
    pub fn new(program: Program) -> Self {
        Self(Arc::new(Inner {
            free: Semaphore::new(program.sandboxes.max(1)),
            log: Log::new(&program.name),
            name: program.name.clone(),
            program: Mutex::new(Arc::new(program)),
            idle: Mutex::default(),
            running: Running::default(),
            starts: Mutex::default(),
        }))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Starts a process before the first event, so that errors in the environment are found now.
    ///
    /// # Errors
    /// It did not start.
    pub async fn warm(&self) -> Result<(), InvokeError> {
        let sandbox = self.0.sandbox().await?;
        lock(&self.0.idle).push(sandbox);
        Ok(())
    }

    /// Invokes it with a JSON event.
    ///
    /// # Errors
    /// [`InvokeError`].
    pub async fn invoke(&self, event: &Value, within: Duration) -> Result<Value, InvokeError> {
        self.invoke_bytes(event.to_string().into(), within).await
    }

    /// Invokes it with any payload.
    ///
    /// # Errors
    /// [`InvokeError`].
    pub async fn invoke_bytes(&self, payload: Bytes, within: Duration) -> Result<Value, InvokeError> {
        let _slot = self.0.free.acquire().await;
        let sandbox = self.0.sandbox().await?;
        let reply = sandbox.invoke(self.name(), payload, within).await;
        if sandbox.process.switch.has_exited() || !self.0.is_current(&sandbox) {
            lock(&self.0.running).remove(&sandbox.process.pid);
        } else {
            lock(&self.0.idle).push(sandbox);
        }
        let reply = reply?;
        Ok(serde_json::from_slice(&reply)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&reply).into())))
    }

    /// A handle that kills whatever processes it has at that moment.
    #[must_use]
    pub fn killer(&self) -> Killer {
        Killer(self.0.running.clone())
    }

    /// The fault proxies between its idle processes and their Runtime APIs. The last one gets the next event.
    #[must_use]
    pub fn proxies(&self) -> Vec<Arc<FaultProxy>> {
        lock(&self.0.idle).iter().map(|sandbox| sandbox.proxy.clone()).collect()
    }

    /// Sets environment variables, like a deployment: new invocations get processes with them, and invocations in progress end with the old ones.
    pub fn deploy(&self, env: &[(&str, &str)]) {
        let mut program = lock(&self.0.program);
        let mut next = Program::clone(&program);
        // The last value of a name counts.
        next.env.extend(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        *program = Arc::new(next);
        drop(program);
        self.recycle();
    }

    /// Ends the idle processes, so that the next invocation is a cold start.
    pub fn recycle(&self) {
        let idle = std::mem::take(&mut *lock(&self.0.idle));
        let mut running = lock(&self.0.running);
        idle.iter().for_each(|sandbox| drop(running.remove(&sandbox.process.pid)));
    }

    /// What its processes printed.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.0.log
    }

    /// How long each start took, from the spawn to the first poll.
    #[must_use]
    pub fn starts(&self) -> Vec<Duration> {
        lock(&self.0.starts).clone()
    }

    /// The processes that run now.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        lock(&self.0.running).keys().copied().collect()
    }
}

impl Inner {
    /// An idle process, or a new one.
    async fn sandbox(&self) -> Result<Sandbox, InvokeError> {
        while let Some(sandbox) = self.pop_idle() {
            if self.is_current(&sandbox) && !sandbox.process.switch.has_exited() {
                return Ok(sandbox);
            }
            lock(&self.running).remove(&sandbox.process.pid);
        }
        let program = Arc::clone(&lock(&self.program));
        let sandbox = Sandbox::start(program, &self.log).await?;
        lock(&self.running).insert(sandbox.process.pid, sandbox.process.switch.clone());
        lock(&self.starts).push(sandbox.started_in);
        Ok(sandbox)
    }

    /// Whether the sandbox runs the program that was deployed last.
    fn is_current(&self, sandbox: &Sandbox) -> bool {
        Arc::ptr_eq(&sandbox.program, &lock(&self.program))
    }

    fn pop_idle(&self) -> Option<Sandbox> {
        lock(&self.idle).pop()
    }
}

/// Kills a function's processes. Cheap to clone, and fit for a [`Hook`].
#[derive(Debug, Clone)]
pub struct Killer(Running);

impl Killer {
    /// SIGKILL to every process that runs now; returns once they are gone, with how many there were.
    pub async fn kill(&self) -> usize {
        let switches: Vec<_> = std::mem::take(&mut *lock(&self.0)).into_values().collect();
        for switch in &switches {
            switch.kill().await;
        }
        switches.len()
    }

    /// A hook that does so.
    #[must_use]
    pub fn hook(&self) -> Hook {
        let killer = self.clone();
        Hook::new(move || {
            let killer = killer.clone();
            async move {
                killer.kill().await;
            }
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
