//! One binary, one module a promise.

#[path = "../cloud/mod.rs"]
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
