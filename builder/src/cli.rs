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
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use soci_format::{
    oci::{NotAReference, Platform, Reference},
    ztoc::DEFAULT_BUILD_TOOL,
};
use soci_store::registry::{Client, Log, Mirror, Options};
use tokio::task::spawn_blocking;

use crate::ending::{Answer, Ending};

/// Runs a command to its end.
pub(crate) async fn run(cli: Cli) -> Answer {
    let client = cli.registry.client();
    let answer = match cli.command {
        Command::Index(arguments) => index::run(arguments, &client).await,
        Command::Info(arguments) => info::run(arguments, &client).await,
        Command::Verify(arguments) => verify::run(arguments, &client).await,
        Command::Ls(arguments) => files::ls(arguments, &client).await,
        Command::Cat(arguments) => files::cat(arguments, &client).await,
        Command::Report(arguments) => report::run(arguments, &client).await,
        Command::Ztoc { command } => spawn_blocking(move || match command {
            ZtocCommand::Build(arguments) => ztoc::build(&arguments),
            ZtocCommand::Info(arguments) => ztoc::info(&arguments),
        })
        .await
        .unwrap_or_else(|died| Err(Ending::Failed(died.into()))),
        Command::Completions { shell } => {
            let mut result = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "soci-builder", &mut result);
            let ending = Ending::Done;
            Ok(Answer { result, ending })
        }
    };
    answer.unwrap_or_else(Answer::from)
}

/// What an image is, for every command that takes one.
const IMAGE_HELP: &str = "host/repo:tag, host/repo@sha256:…, oci:DIR[:NAME][@DIGEST] or oci-archive:FILE[:NAME][@DIGEST]";

/// Builds SOCI indexes for container images, so that their containers start before the image is fully downloaded.
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
      indexes all platforms of app:v1 and pushes the result as app:v1-soci
  soci-builder index localhost:5000/app:v2 --reuse-from v1-soci
      reads only the layers that app:v1 does not have
  soci-builder info localhost:5000/app:v1-soci
      shows what indexes an image has
  soci-builder cat localhost:5000/app:v1-soci /etc/os-release
      prints a file, fetching only the spans that it lies in
  soci-builder report localhost:5000/app:v1-soci -o app.html --start-files opened.txt
      shows layers and spans on a page, and what a start that opens these files fetches
  soci-builder completions bash > /etc/bash_completion.d/soci-builder

Credentials: ECR hosts through the AWS SDK (environment, profile, role); other hosts from SOCI_REGISTRY_USERNAME and
SOCI_REGISTRY_PASSWORD, DOCKER_AUTH_CONFIG, or the files of podman (REGISTRY_AUTH_FILE) and docker (DOCKER_CONFIG) with
their credential helpers. Proxies and CAs come from HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE and SSL_CERT_DIR; certificates
for single registries from /etc/docker/certs.d.

Exit codes: 0 done, 1 failed, 2 usage error, 3 nothing to index or unsupported, where that is to fail.";

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Build the SOCI index of an image and push it
    Index(Box<IndexArgs>),
    /// Show what indexes an image has, by platform and layer
    Info(InfoArgs),
    /// Make an image's indexes again and compare: manifests, digests, checkpoints, every file
    Verify(VerifyArgs),
    /// List files of an image, through its index
    Ls(LsArgs),
    /// Print files of an image, fetching only the spans that they lie in
    Cat(CatArgs),
    /// Write a page about an image: layers, spans, files, what a start would fetch
    Report(ReportArgs),
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
    /// Use plain HTTP for every registry, not only for those on this machine
    #[arg(long, global = true)]
    plain_http: bool,
    /// Send the requests for HOST to URL; may be given several times
    #[arg(long = "registry-mirror", value_name = "HOST=URL", global = true)]
    mirrors: Vec<Mirror>,
    /// Read certificates from DIR/HOST[:PORT] instead of /etc/docker/certs.d/HOST[:PORT]: *.crt are authorities to trust,
    /// a *.cert with its *.key is the client certificate; files directly in DIR are for every registry
    #[arg(long, value_name = "DIR", global = true, value_parser = directory)]
    cert_dir: Option<PathBuf>,
    /// Fail if the command has not finished after this time, for example 30s, 5m or 1h30m
    #[arg(long, value_name = "DURATION", global = true, value_parser = duration::parse)]
    pub(crate) timeout: Option<Duration>,
    /// Print every request, retry and credential lookup to stderr, without secrets
    #[arg(long, global = true)]
    debug: bool,
}

impl RegistryArgs {
    pub(crate) fn client(&self) -> Client {
        Client::new(Options {
            plain_http: self.plain_http,
            mirrors: self.mirrors.clone(),
            certificates: self.cert_dir.clone(),
            log: if self.debug {
                Log::to(debug)
            } else {
                Log::default()
            },
            ..Options::default()
        })
    }
}

#[derive(Args)]
pub(crate) struct IndexArgs {
    /// The image
    #[arg(value_name = "IMAGE", long_help = IMAGE_HELP, value_parser = image)]
    pub(crate) image: Reference,
    /// Version of the index: v2 makes a new image, v1 refers to the image as it is
    #[arg(long, value_enum, default_value_t = IndexVersion::V2)]
    pub(crate) index_version: IndexVersion,
    /// Tag of the new image [default: <tag>-soci]
    #[arg(long, value_name = "TAG")]
    pub(crate) output_tag: Option<String>,
    /// Index this platform only; may be given several times [default: all of the image]
    #[arg(long = "platform", value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platforms: Vec<Platform>,
    /// Layers smaller than this, as stored, get no index
    #[arg(long, value_name = "SIZE", default_value = "10MiB")]
    pub(crate) min_layer_size: ByteSize,
    /// Plain bytes between two places where reading can start; smaller starts containers sooner and makes a larger index
    #[arg(long, value_name = "SIZE", default_value = "4MiB", value_parser = span_size)]
    pub(crate) span_size: ByteSize,
    /// A file that the container will need at once; may be given several times
    #[arg(long = "prefetch-file", value_name = "PATH")]
    pub(crate) prefetch_files: Vec<String>,
    /// A list of such files: one a line, blank lines and lines with # are skipped; or a JSON array of strings. - is stdin
    #[arg(long, value_name = "FILE|-")]
    pub(crate) prefetch_files_from: Option<PathBuf>,
    /// Mark layers without extended attributes, so that nobody looks for them
    #[arg(long = "optimization", value_enum)]
    pub(crate) optimizations: Vec<Optimization>,
    /// A tag in the same repository whose index may cover the same layers; those are not read again
    #[arg(long, value_name = "TAG")]
    pub(crate) reuse_from: Option<String>,
    /// Fail where a layer cannot be indexed, instead of leaving it out
    #[arg(long)]
    pub(crate) strict: bool,
    /// What to do where every layer is smaller than the minimum
    #[arg(long, value_enum, default_value_t = Otherwise::UseOriginal, value_name = "ACTION")]
    pub(crate) when_too_small: Otherwise,
    /// What to do where no layer can be indexed
    #[arg(long, value_enum, default_value_t = Otherwise::Fail, value_name = "ACTION")]
    pub(crate) when_unsupported: Otherwise,
    /// What the index says built it; part of its digest
    #[arg(long, value_name = "TEXT", default_value = DEFAULT_BUILD_TOOL)]
    pub(crate) build_tool_identifier: String,
    /// Print the result as one JSON object, also where the run failed
    #[arg(long)]
    pub(crate) json: bool,
    /// Leave the lists of layers out of the result; their numbers stay
    #[arg(long)]
    pub(crate) brief: bool,
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
    /// Which platform of the image [ls, cat, report: that of this machine where there are several; verify: all]
    #[arg(long, value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platform: Option<Platform>,
}

#[derive(Args)]
pub(crate) struct LsArgs {
    #[command(flatten)]
    pub(crate) image: OnImage,
    /// What to list
    #[arg(value_name = "PATH", default_value = "/")]
    pub(crate) path: OsString,
    /// List all that is below, too
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
    /// The files, printed one after the other
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
    /// Where to write the page, HTML; - is stdout
    #[arg(short, long, value_name = "FILE|-")]
    pub(crate) output: PathBuf,
    /// Paths that a container opens at its start, one a line; blank lines and lines with # are skipped, - is stdin
    #[arg(long, value_name = "FILE|-")]
    pub(crate) start_files: Option<PathBuf>,
    /// Bytes that the network brings in a second
    #[arg(long, value_name = "SIZE", default_value = "50MiB", value_parser = bandwidth)]
    pub(crate) bandwidth: NonZeroU64,
    /// From a request to the first byte of its answer
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 20)]
    pub(crate) latency: u32,
}

#[derive(Subcommand)]
pub(crate) enum ZtocCommand {
    /// Build the ztoc of a layer file; prints "<digest> <size>"
    Build(ZtocBuildArgs),
    /// Show what a ztoc holds
    Info(ZtocInfoArgs),
}

#[derive(Args)]
pub(crate) struct ZtocBuildArgs {
    /// The layer: a tar archive, gzipped or not
    pub(crate) layer: PathBuf,
    /// Where to write the ztoc
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Plain bytes between two places where reading can start
    #[arg(long, value_name = "SIZE", default_value = "4MiB", value_parser = span_size)]
    pub(crate) span_size: ByteSize,
    /// What the ztoc says built it; part of its digest
    #[arg(long, value_name = "TEXT", default_value = DEFAULT_BUILD_TOOL)]
    pub(crate) build_tool_identifier: String,
}

#[derive(Args)]
pub(crate) struct ZtocInfoArgs {
    /// The ztoc
    pub(crate) file: PathBuf,
    /// Print everything, each file included, as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum IndexVersion {
    V1,
    V2,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Optimization {
    Xattr,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Otherwise {
    UseOriginal,
    Fail,
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
fn image(text: &str) -> Result<Reference, NotAReference> {
    Reference::parse(text, &|path| path.exists())
}

/// A span holds at least a byte, and its size must fit the format's signed 64 bits.
fn span_size(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse()?;
    if size.as_u64() == 0 || i64::try_from(size.as_u64()).is_err() {
        return Err("a span size is at least 1 byte and below 8 EiB".to_owned());
    }
    Ok(size)
}

fn bandwidth(text: &str) -> Result<NonZeroU64, String> {
    let size: ByteSize = text.parse()?;
    NonZeroU64::new(size.as_u64())
        .ok_or_else(|| "a bandwidth is at least 1 byte a second".to_owned())
}

#[cfg(test)]
mod tests {
    use soci_format::plan::{DEFAULT_MIN_LAYER_SIZE, DEFAULT_SPAN_SIZE};

    use super::*;

    #[test]
    fn defaults_are_the_library_s() {
        let cli = Cli::parse_from(["soci-builder", "index", "oci:image"]);
        let Command::Index(arguments) = cli.command else {
            panic!("another command");
        };
        assert_eq!(arguments.min_layer_size.as_u64(), DEFAULT_MIN_LAYER_SIZE);
        assert_eq!(arguments.span_size.as_u64(), DEFAULT_SPAN_SIZE);
    }
}
