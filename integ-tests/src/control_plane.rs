//! The control plane: an AWS emulator for everything except ECR and CodeBuild, and the real `cdk` CLI.
//!
//! ```text
//! cdk CLI ─▶ emulator (CloudFormation, Lambda, S3, IAM, …) ─▶ the provider's process ─▶ lambda_proxy, cloudformation_proxy, response_proxy ─▶ emulator
//!    └────▶ ECR of ours                                              └────▶ ECR and CodeBuild of ours ─▶ emulated ─▶ emulator
//! ```
//!
//! What the emulator lacks is implemented in proxies in front of it, and in plug-ins (`*.py`).

mod cdk;
mod cloudformation_proxy;
mod emulated;
mod emulator;
mod error;
mod images;
mod lambda_proxy;
mod local_cloud;
mod policies;
mod project_hook;
mod query;
mod queues;
mod recent;
mod response_proxy;
mod rights_hook;
pub mod secrets;
mod stacks;
mod tools;

pub use cdk::{App, Cdk, Run, foreign_variables};
pub use emulated::Emulated;
pub use emulator::Emulator;
pub use error::Error;
pub use local_cloud::{LocalCloud, Options};
pub use response_proxy::Answered;
pub use stacks::{Event, Stacks};
pub use tools::Tools;

/// The access key of whoever deploys. Any key that is not a function's or a build's is theirs.
pub const DEPLOYER: &str = "AKIALOCALCLOUDDEPLOY";
