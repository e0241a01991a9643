//! The command line: flags, checked once, and what they become.

mod duration;
pub(crate) mod files;
pub(crate) mod index;
pub(crate) mod info;
pub(crate) mod output;
pub(crate) mod path_list;
pub(crate) mod print;
pub(crate) mod progress;
pub(crate) mod report;
#[cfg(feature = "tasks")]
pub(crate) mod tasks;
pub(crate) mod verify;
pub(crate) mod ztoc;

use std::{
    ffi::OsString,
    io::{self, Write},
    num::NonZeroU64,
    path::PathBuf,
    time::Duration,
};

use bytesize::ByteSize;
use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use soci_format::{
    limits::Limits,
    oci::{InvalidReference, Platform, Reference},
    ztoc::DEFAULT_BUILD_TOOL,
};
use soci_store::{
    registry::{Client, Log, Mirror, Options},
    store::{self, Store},
};
use tokio::task::spawn_blocking;

use crate::{
    exit_status::{ExitStatus, Output},
    milestones::Milestones,
};
use index::IndexArgs;

/// Runs a command to its end.
pub(crate) async fn run(cli: Cli, milestones: Milestones) -> Output {
    let access = Access {
        client: cli.registry.client(),
        limits: Limits::default(),
        milestones,
    };
    let answer = match cli.command {
        Command::Index(arguments) => index::run(arguments, &access).await,
        Command::Info(arguments) => info::run(arguments, &access).await,
        Command::Verify(arguments) => verify::run(arguments, &access).await,
        Command::Ls(arguments) => files::ls(arguments, &access).await,
        Command::Cat(arguments) => files::cat(arguments, &access).await,
        Command::Report(arguments) => report::run(arguments, &access).await,
        #[cfg(feature = "tasks")]
        Command::Tasks(arguments) => tasks::run(arguments, &access).await,
        Command::Ztoc { command } => spawn_blocking(move || match command {
            ZtocCommand::Build(arguments) => ztoc::build(&arguments, access.limits),
            ZtocCommand::Info(arguments) => ztoc::info(&arguments, access.limits),
        })
        .await
        .unwrap_or_else(|died| Err(ExitStatus::Failed(died.into()))),
        Command::Completions { shell } => {
            let mut result = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "soci-builder", &mut result);
            let status = ExitStatus::Success;
            Ok(Output { result, status })
        }
    };
    answer.unwrap_or_else(Output::from)
}

/// How a command reaches images, how much memory they may make it use, and where it tells how far it is.
pub(crate) struct Access {
    pub(crate) client: Client,
    pub(crate) limits: Limits,
    pub(crate) milestones: Milestones,
}

impl Access {
    pub(crate) fn open(&self, image: &Reference) -> Result<Store, store::Error> {
        Store::open(image, &self.client, self.limits)
    }
}

/// How images are named, for every command that takes one.
const IMAGE_HELP: &str = "host/repo:tag, host/repo@sha256:…, oci:DIR[:NAME][@DIGEST] or oci-archive:FILE[:NAME][@DIGEST]";

/// Builds SOCI indexes for container images, so that containers can start before the image is fully downloaded.
///
/// An index has a ztoc for each layer: a list of its files, and checkpoints from which each span (4 MiB uncompressed by default)
/// can be fetched and decompressed on its own.
#[derive(Parser)]
#[command(name = "soci-builder", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    #[command(flatten)]
    pub(crate) registry: RegistryArgs,
}

const EXAMPLES: &str = "\
Examples:
  soci-builder index 123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:v1
      indexes all platforms of app:v1 and pushes the indexed image as app:v1-soci
  soci-builder index localhost:5000/app --tag-list tags.txt
      indexes these tags of a repository, one after the other; layers that they share are read once
  soci-builder index localhost:5000/app:v2 --reuse-from v1-soci
      reads only the layers that the index of app:v1-soci does not cover
  soci-builder info localhost:5000/app:v1-soci
      shows the indexes of an image
  soci-builder cat localhost:5000/app:v1-soci /etc/os-release
      prints a file, fetching only the spans that contain it
  soci-builder report localhost:5000/app:v1-soci -o app.html --start-files opened.txt
      writes a page with layers and spans, and what a container that opens these files at startup would fetch
  soci-builder completions bash > /etc/bash_completion.d/soci-builder

Credentials: ECR hosts through the AWS SDK (environment, profile, role); other hosts from SOCI_REGISTRY_USERNAME and
SOCI_REGISTRY_PASSWORD, DOCKER_AUTH_CONFIG, or the files of podman (REGISTRY_AUTH_FILE) and docker (DOCKER_CONFIG) with
their credential helpers. Proxies and CAs come from HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR; certificates
for single registries from the certs.d directories of podman and docker.

Exit codes: 0 success, 1 failure, 2 usage error, 3 nothing could be indexed.";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Build the SOCI index of an image and push it
    Index(Box<IndexArgs>),
    /// Show the indexes of an image, by platform and layer
    Info(InfoArgs),
    /// Rebuild the indexes of an image in memory and report any difference; changes nothing
    Verify(VerifyArgs),
    /// List files of an image through its index
    Ls(LsArgs),
    /// Print files of an image, fetching only the spans that contain them
    Cat(CatArgs),
    /// Write an HTML report: layers, spans, files, and what a container start would fetch
    Report(ReportArgs),
    /// Show how long the running tasks of an ECS cluster took to start, and which of their images have an index
    #[cfg(feature = "tasks")]
    Tasks(TasksArgs),
    /// Work with the ztoc of a single layer
    Ztoc {
        #[command(subcommand)]
        command: ZtocCommand,
    },
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

#[derive(Args)]
pub(crate) struct RegistryArgs {
    /// Use plain HTTP for all registries, not only for loopback hosts
    #[arg(long, global = true)]
    plain_http: bool,
    /// Send requests for HOST to URL; may be repeated
    #[arg(long = "registry-mirror", value_name = "HOST=URL", global = true)]
    mirrors: Vec<Mirror>,
    /// Read certificates from DIR/HOST[:PORT], not from the certs.d directories of podman and docker: *.crt are trusted CAs,
    /// a *.cert with its *.key is the client certificate; files directly in DIR apply to registries without a directory
    #[arg(long, value_name = "DIR", global = true, value_parser = directory)]
    cert_dir: Option<PathBuf>,
    /// Fail if the command takes longer than this, for example 30s, 5m or 1h30m
    #[arg(long, value_name = "DURATION", global = true, value_parser = duration::parse)]
    pub(crate) timeout: Option<Duration>,
    /// Log every request, retry and credential lookup to stderr, without secrets
    #[arg(long, global = true)]
    debug: bool,
}

impl RegistryArgs {
    pub(crate) fn client(&self) -> Client {
        Client::new(self.options())
    }

    pub(crate) fn options(&self) -> Options {
        Options {
            plain_http: self.plain_http,
            mirrors: self.mirrors.clone(),
            certificates: self.cert_dir.clone(),
            log: if self.debug {
                Log::to(debug)
            } else {
                Log::default()
            },
            ..Options::default()
        }
    }
}

#[cfg(feature = "tasks")]
#[derive(Args)]
pub(crate) struct TasksArgs {
    /// Name or ARN of the cluster; a name requires a region, from AWS_REGION or the AWS profile
    #[arg(value_name = "CLUSTER")]
    pub(crate) cluster: String,
    /// Only tasks of this service
    #[arg(long, value_name = "NAME")]
    pub(crate) service: Option<String>,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct InfoArgs {
    /// The image
    #[arg(value_name = "IMAGE", long_help = IMAGE_HELP, value_parser = image)]
    pub(crate) image: Reference,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// One platform of an image.
#[derive(Args)]
pub(crate) struct OnImage {
    /// The image
    #[arg(value_name = "IMAGE", long_help = IMAGE_HELP, value_parser = image)]
    pub(crate) image: Reference,
    /// Platform of the image [default: ls, cat, report: that of this machine; verify: all]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,
}

#[derive(Args)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    pub(crate) image: OnImage,
    /// File or directory to list
    #[arg(value_name = "PATH", default_value = "/")]
    pub(crate) path: OsString,
    /// List subdirectories recursively
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct CatArgs {
    #[command(flatten)]
    pub(crate) image: OnImage,
    /// Files to print, one after the other
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<OsString>,
}

#[derive(Args)]
pub(crate) struct VerifyArgs {
    #[command(flatten)]
    pub(crate) image: OnImage,
    /// Print the result as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct ReportArgs {
    #[command(flatten)]
    pub(crate) image: OnImage,
    /// Where to write the HTML page; - is stdout
    #[arg(short, long, value_name = "FILE|-")]
    pub(crate) output: PathBuf,
    /// Paths that a container opens when it starts, one per line, blank lines and # comments ignored; - is stdin
    #[arg(long, value_name = "FILE|-")]
    pub(crate) start_files: Option<PathBuf>,
    /// Network bandwidth per second to assume for the times on the page
    #[arg(long, value_name = "SIZE", default_value = "50MiB", value_parser = bandwidth)]
    pub(crate) bandwidth: NonZeroU64,
    /// Network latency per request to assume for the times on the page
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 20)]
    pub(crate) latency: u32,
}

#[derive(Subcommand)]
pub(crate) enum ZtocCommand {
    /// Build the ztoc of a layer file; prints "<digest> <size>"
    Build(ZtocBuildArgs),
    /// Show the contents of a ztoc
    Info(ZtocInfoArgs),
}

#[derive(Args)]
pub(crate) struct ZtocBuildArgs {
    /// Layer file: a tar archive, gzip-compressed or not
    pub(crate) layer: PathBuf,
    /// Where to write the ztoc
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Uncompressed bytes per span
    #[arg(long, value_name = "SIZE", default_value = "4MiB", value_parser = span_size)]
    pub(crate) span_size: ByteSize,
    /// Build tool identifier to record in the ztoc (changes its digest)
    #[arg(long, value_name = "TEXT", default_value = DEFAULT_BUILD_TOOL)]
    pub(crate) build_tool_identifier: String,
}

#[derive(Args)]
pub(crate) struct ZtocInfoArgs {
    /// The ztoc
    pub(crate) file: PathBuf,
    /// Print everything, including each file, as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// A line of the log; nothing is left to do where stderr is gone.
fn debug(line: &str) {
    let _ = writeln!(io::stderr(), "debug: {line}");
}

/// A directory that is there: a misspelled one would silently be none.
fn directory(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.is_dir() {
        true => Ok(path),
        false => Err("not a directory".to_owned()),
    }
}

/// What exists here tells where a path ends and the name of an image begins.
fn image(text: &str) -> Result<Reference, InvalidReference> {
    Reference::parse(text, &|path| path.exists())
}

/// A span holds at least a byte, and its size must fit the format's signed 64 bits.
fn span_size(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse()?;
    if size.as_u64() == 0 || i64::try_from(size.as_u64()).is_err() {
        return Err("must be at least 1 byte and below 8 EiB".to_owned());
    }
    Ok(size)
}

fn bandwidth(text: &str) -> Result<NonZeroU64, String> {
    let size: ByteSize = text.parse()?;
    NonZeroU64::new(size.as_u64()).ok_or_else(|| "must be at least 1 byte per second".to_owned())
}
