//! Answers CloudFormation when a SOCI index is in ECR: an event in, one answer out.
//!
//! ```text
//! event ─▶ work: start: facts (image, build) ─▶ plan ─▶ build ─▶ verdict ─▶ answer ─▶ delivery
//!                       properties               stops   kept, removal
//! handler: the guard around it that always answers, and hands over before its time is up
//! ```
//!
//! Data flows from left to right, and no module knows what stands to its right.

pub mod answer;
pub mod app;
pub mod arguments;
pub mod build;
pub mod call;
pub mod delivery;
pub mod error;
pub mod event;
pub mod hand_over;
pub mod handler;
pub mod image;
pub mod job;
pub mod kept;
pub mod log;
pub mod pace;
pub mod physical_id;
pub mod plan;
pub mod properties;
pub mod removal;
pub mod repository;
pub mod response_url;
pub mod schedule;
pub mod start;
pub mod stops;
pub mod verdict;
pub mod work;
