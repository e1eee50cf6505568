//! One binary, one module a promise.

#[path = "../cloud/mod.rs"]
mod cloud;

mod cloud_instrument;
mod containment;
mod corpus;
mod ledger_store;
mod mutation;
mod operator;
mod policy;
mod protocol_model;
mod protocol_rules;
mod reach;
mod records;
mod rounds;
mod stage;
mod story;
mod telling;
mod template;
mod trouble;
