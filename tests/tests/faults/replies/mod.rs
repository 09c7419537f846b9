//! Replies on real nodes: clients, nodes and NATS die while a provider speaks, and each reply ends once, with all its text.

mod cast;
mod clients_gone;
mod frozen;
mod killed;
mod leaving;
mod nats_away;
mod stopped;
