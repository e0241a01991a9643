//! The local cloud: the AWS services that a deployment calls, on one machine, around the real programs and the real `cdk` CLI.
//!
//! ```text
//! cdk CLI ─▶ control_plane (a kept emulator) ─▶ the real provider ─▶ codebuild (ours) ─▶ the real builder ─▶ ecr (ours) ─▶ registry (a real one)
//!                        ▲                                               │                                  │
//!                        └─────────────── account: projects, roles, policies, repositories ◀── iam ────────┘
//! ```
//!
//! It knows the other parts by their programs and templates only; its HTTP server and its images are those of all tests (`soci-testing`).

pub mod account;
pub mod answers;
pub mod authorization;
pub mod calls;
pub mod cloud;
pub mod cloudformation;
pub mod codebuild;
pub mod control_plane;
pub mod digest;
pub mod ecr;
pub mod faults;
pub mod iam;
pub mod image;
pub mod lambda_runtime_api;
mod lock;
pub mod model;
pub mod programs;
pub mod proxy;
pub mod registry;
pub mod stage;
pub mod template;
pub mod tls;
