//! One binary, one module a promise.

mod corpus;
mod mutation;
mod template;
