//! One binary, one module a promise.

#[path = "../cloud/mod.rs"]
mod cloud;

mod asked_again;
mod attacker;
mod by_hand;
mod cloud_instrument;
mod containment;
mod corpus;
mod crash;
mod credentials;
mod deciding;
mod given_back;
mod guarding;
mod hearing;
mod kept_closed;
mod ledger_store;
mod looking_after;
mod mutation;
mod one_group;
mod opened_again;
mod operator;
mod over_the_limit;
mod policy;
mod protocol_model;
mod protocol_rules;
mod reach;
mod records;
mod rehearsal;
mod rounds;
mod said_no;
mod stage;
mod story;
mod taking_back;
mod telling;
mod template;
mod trouble;
