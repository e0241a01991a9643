//! The custom resource provider: a CloudFormation event in, one response out once the SOCI index is in ECR.
//!
//! ```text
//! event ─▶ work: start: facts (image, build) ─▶ plan ─▶ build ─▶ verdict ─▶ response ─▶ delivery
//!                       properties               stops   orphaned_index, removal
//! handler: the guard around it that always responds, and hands over before the invocation times out
//!                 dispatch ─▶ builder_function (another function, the same program) ─▶ response ─▶ delivery
//!                    ▲              │ its failure, as Lambda reports it (failed_invocation)
//!                    └──────────────┘
//! ```
//!
//! on_push: a third function: ECR's event in, the index and a record of it out. It shares indexer (the builder's library), call, pace, log.
//! start_times: a fourth: ECS's event in, metrics out.
//!
//! Data flows from left to right; no module depends on one to its right.

pub mod app;
pub mod arguments;
pub mod build;
pub mod builder_function;
pub mod call;
pub mod delivery;
pub mod dispatch;
pub mod error;
pub mod event;
pub mod existing;
pub mod failed_invocation;
pub mod hand_over;
pub mod handler;
pub mod image;
pub mod indexer;
pub mod job;
pub mod log;
pub mod metrics;
pub mod on_push;
pub mod orphaned_index;
pub mod pace;
pub mod physical_id;
pub mod plan;
pub mod properties;
pub mod removal;
pub mod repository;
pub mod response;
pub mod response_url;
pub mod schedule;
pub mod start;
pub mod start_times;
pub mod stops;
pub mod verdict;
pub mod work;
