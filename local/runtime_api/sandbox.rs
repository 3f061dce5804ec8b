//! A sandbox: one process with its own Runtime API, for one invocation at a time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use super::{
    InvokeError, Program,
    api::{Api, Job},
    log::Log,
    process::Process,
};
use crate::{
    proxy::FaultProxy,
    server::{ANY_PORT, Server},
};

/// Lambda's limit for a function's start.
const INIT_LIMIT: Duration = Duration::from_secs(10);

/// A process that has polled for work.
#[derive(Debug)]
pub(super) struct Sandbox {
    pub(super) process: Process,
    /// The program that the process was started from.
    pub(super) program: Arc<Program>,
    /// From the spawn to the first poll.
    pub(super) started_in: Duration,
    /// The fault proxy between the process and its Runtime API.
    pub(super) proxy: Arc<FaultProxy>,
    jobs: mpsc::UnboundedSender<Job>,
    _server: Server,
}

impl Sandbox {
    /// Starts the process and waits until it polls for work.
    pub(super) async fn start(program: Arc<Program>, log: &Log) -> Result<Self, InvokeError> {
        let name = program.name.clone();
        let failed = |reason: String| InvokeError::Init { function: name.clone(), reason };
        let (jobs, queue) = mpsc::unbounded_channel();
        let api = Api::new(&program.name, queue);
        let server =
            Server::start(ANY_PORT, api.router()).await.map_err(|error| failed(format!("{error:#}")))?;
        let proxy = FaultProxy::start(&server.url()).await.map_err(|error| failed(format!("{error:#}")))?;
        let env = lambda_env(&program, &proxy);
        let spawned = Instant::now();
        let mut process =
            Process::spawn(&program.binary, &env, log).map_err(|error| failed(format!("{error:#}")))?;
        let first_poll = tokio::select! {
            first_poll = api.first_poll() => first_poll,
            status = process.switch.exited() => {
                process.printed().await;
                let status = status.map_or_else(|| "ended".to_owned(), |status| status.to_string());
                return Err(failed(format!("{status}\n{}", log.tail(40))));
            }
            () = tokio::time::sleep(INIT_LIMIT) => {
                return Err(failed(format!("no poll within {INIT_LIMIT:?}\n{}", log.tail(40))));
            }
        };
        match first_poll {
            Some(Ok(at)) => Ok(Self {
                process,
                program,
                started_in: at - spawned,
                proxy: proxy.into(),
                jobs,
                _server: server,
            }),
            Some(Err(error)) => Err(failed(format!("{error}\n{}", log.tail(40)))),
            None => Err(failed("its Runtime API went away".to_owned())),
        }
    }

    /// Runs one event. After a timeout the process is killed, as Lambda does.
    pub(super) async fn invoke(
        &self,
        function: &str,
        payload: Bytes,
        within: Duration,
    ) -> Result<Bytes, InvokeError> {
        let (reply, answer) = oneshot::channel();
        let job = Job {
            request_id: Uuid::new_v4().to_string(),
            deadline_ms: (Timestamp::now() + within).as_millisecond(),
            payload,
            reply,
        };
        let function = || function.to_owned();
        // Refused only if the process has ended, which the second branch sees.
        let _ = self.jobs.send(job);
        tokio::select! {
            biased;
            Ok(reply) = answer => reply.map_err(|error| InvokeError::answered(function(), &error)),
            status = self.process.switch.exited() => Err(InvokeError::Died { function: function(), status }),
            () = tokio::time::sleep(within) => {
                self.process.switch.kill().await;
                Err(InvokeError::TimedOut { function: function(), within })
            }
        }
    }
}

fn lambda_env(program: &Program, proxy: &FaultProxy) -> Vec<(String, String)> {
    let own = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut env = program.env.clone();
    env.extend([
        own("AWS_LAMBDA_RUNTIME_API", proxy.url().trim_start_matches("http://")),
        own("AWS_LAMBDA_FUNCTION_NAME", &program.name),
        own("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        own("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        own("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        own("AWS_LAMBDA_LOG_GROUP_NAME", &format!("/aws/lambda/{}", program.name)),
        own("AWS_LAMBDA_LOG_STREAM_NAME", "local"),
        own("_HANDLER", "bootstrap"),
    ]);
    env
}
