//! Why a gateway cannot be built or cannot go on.

use std::error::Error;
use std::fmt;

use crate::{extension, listener, pipeline, tls, worker};

/// Why a gateway cannot be built: every problem found, one a line.
#[derive(Debug)]
pub struct BuildError(pub(crate) Vec<BuildProblem>);

/// One of them.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BuildProblem {
    /// A receiver's `tls` block.
    #[error(transparent)]
    Credentials(#[from] tls::CredentialsError),
    /// An exporter or a processor.
    #[error(transparent)]
    Pipeline(#[from] pipeline::BuildError),
    /// A receiver's address.
    #[error(transparent)]
    Bind(#[from] listener::BindError),
    /// An extension's address.
    #[error(transparent)]
    Extension(#[from] extension::BindError),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            let mut text = problem.to_string();
            let mut cause = problem.source();
            while let Some(error) = cause {
                // Some errors hold the text of their cause already.
                let next = error.to_string();
                if !text.ends_with(&next) {
                    text = format!("{text}: {next}");
                }
                cause = error.source();
            }
            f.write_str(&text)?;
        }
        Ok(())
    }
}

impl Error for BuildError {}

impl<P: Into<BuildProblem>> From<P> for BuildError {
    fn from(problem: P) -> Self {
        Self(vec![problem.into()])
    }
}

/// Why a running gateway ended by itself.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct RunError(#[from] pub(crate) RunProblem);

/// See [`RunError`].
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunProblem {
    /// The workers did not start.
    #[error("the gateway cannot start")]
    Start(#[from] worker::StartError),
    /// A worker ended.
    #[error("a worker thread ended, which it never should; the log says why [worker_ended]")]
    Worker,
    /// An accept loop ended.
    #[error("an accept loop ended, which it never should; the log says why [listener_ended]")]
    Listener,
    /// The reloader of certificates ended.
    #[error("the reloader ended, which it never should; the log says why [reloader_ended]")]
    Reloader,
}
