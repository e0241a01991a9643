//! The control plane: a kept AWS emulator for all but ECR and CodeBuild, and the real `cdk` CLI that drives it.
//!
//! ```text
//! cdk CLI ─▶ emulator (CloudFormation, Lambda, S3, IAM, …) ─▶ the provider's process ─▶ lambda_door, answer_door ─▶ emulator
//!    └────▶ ECR of ours                                              └────▶ ECR and CodeBuild of ours ─▶ emulated ─▶ emulator
//! ```
//!
//! What the emulator lacks is put in front of it, not inside. It knows nothing of what the programs do.

mod answer_door;
mod cdk;
mod emulated;
mod emulator;
mod error;
mod images;
mod lambda_door;
mod local_cloud;
mod policies;
mod project_door;
mod query;
pub mod secrets;
mod stacks;
mod tools;

pub use answer_door::Answered;
pub use cdk::{App, Cdk, Run, foreign_variables};
pub use emulated::Emulated;
pub use emulator::Emulator;
pub use error::Error;
pub use local_cloud::{LocalCloud, Options};
pub use stacks::{Event, Stacks};
pub use tools::Tools;

/// The access key of whoever deploys. Any key that is not a function's or a build's is theirs.
pub const DEPLOYER: &str = "AKIALOCALCLOUDDEPLOY";
