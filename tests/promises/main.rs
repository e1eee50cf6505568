//! One binary, one module a promise.

#[path = "../cloud/mod.rs"]
#[allow(dead_code, unused_imports, reason = "tests, demonstration and benchmark each use a part of it")]
mod cloud;

mod containment;
mod corpus;
mod mutation;
mod operator;
mod policy;
mod reach;
mod rounds;
mod stage;
mod story;
mod telling;
mod template;
mod trouble;
