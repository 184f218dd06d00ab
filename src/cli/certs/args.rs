//! The arguments of `portcullis certs`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::certs::issue::KeyType;

/// Make and inspect certificates.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CertsArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: CertsCommand,
}

/// The things `certs` does.
#[derive(Debug, Subcommand)]
pub(crate) enum CertsCommand {
    /// Make a certificate authority: ca.crt and ca.key.
    Ca(CaArgs),
    /// Make a certificate that a sender, or the gateway as a sender, identifies itself with.
    Client(ClientArgs),
    /// Make a certificate for a listener: the gateway or a backend.
    Server(ServerArgs),
    /// Say what certificate files hold and what is wrong with them; exit code 1 if anything is.
    Show {
        /// PEM or DER files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

/// Arguments of every command that writes.
#[derive(Debug, Args)]
pub(crate) struct Common {
    /// The folder to write to; made if it is missing.
    #[arg(long, default_value = ".", value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// Name of the files without their endings .crt and .key, relative to --dir.
    #[arg(long, value_name = "NAME")]
    pub(crate) out: Option<PathBuf>,
    /// Days of validity [default: 3650 for ca, 365 for the others].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(crate) days: Option<u32>,
    /// Kind of key.
    #[arg(long, value_enum, default_value_t = KeyType::P256)]
    pub(crate) key_type: KeyType,
    /// Replace files that exist.
    #[arg(long)]
    pub(crate) force: bool,
}

/// Who signs.
#[derive(Debug, Args)]
pub(crate) struct Signer {
    /// The authority's files without their endings, relative to --dir [default: ca].
    #[arg(long, value_name = "NAME")]
    pub(crate) ca: Option<PathBuf>,
}

/// Arguments of `certs ca`.
#[derive(Debug, Args)]
pub(crate) struct CaArgs {
    /// Common name of the authority.
    #[arg(long, default_value = "Portcullis CA")]
    pub(crate) name: String,
    /// Shared arguments.
    #[command(flatten)]
    pub(crate) common: Common,
}

/// Arguments of `certs server`.
#[derive(Debug, Args)]
pub(crate) struct ServerArgs {
    /// A name or address under which senders reach the listener; repeat it or separate by commas.
    /// `DNS:`, `IP:` and `URI:` may be written in front and are otherwise told from the text.
    #[arg(long, required = true, value_delimiter = ',', value_name = "NAME")]
    pub(crate) san: Vec<String>,
    /// Common name [default: the first --san].
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Shared arguments.
    #[command(flatten)]
    pub(crate) common: Common,
    /// Who signs.
    #[command(flatten)]
    pub(crate) signer: Signer,
}

/// Arguments of `certs client`.
#[derive(Debug, Args)]
pub(crate) struct ClientArgs {
    /// Who the sender is: the common name, a DNS name too if it can be one, and the file name.
    #[arg(long)]
    pub(crate) name: String,
    /// A SPIFFE id, such as spiffe://example.org/ns/prod/sa/shop.
    #[arg(long, value_name = "ID")]
    pub(crate) spiffe: Option<String>,
    /// A further name; repeat it or separate by commas.
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    pub(crate) san: Vec<String>,
    /// Shared arguments.
    #[command(flatten)]
    pub(crate) common: Common,
    /// Who signs.
    #[command(flatten)]
    pub(crate) signer: Signer,
}

const EXAMPLES: &str = "\
Examples:
  An authority, a certificate for the gateway and one for a sender, in ./certs:
    portcullis certs ca     --dir certs
    portcullis certs server --dir certs --san otel.example.com,localhost,127.0.0.1
    portcullis certs client --dir certs --name shop --spiffe spiffe://example.com/ns/prod/sa/shop

  What is in these files, and is anything wrong with them?
    portcullis certs show certs/server.crt certs/shop.crt

Keys are written with mode 0600. Nothing is replaced without --force.";
